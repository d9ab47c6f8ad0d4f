import FPOLayers
import FPONumerics

/// From hidden states to one vector for a text.
struct PoolingTape {
    /// First tokens, and the dense layer's output on them, where the pooler has one.
    var first, mapped: Matrix<Float>?
    /// `(texts, hidden)`, before dropout.
    var features: Matrix<Float>
}

extension EncoderPass {
    private func activation(_ pooler: Pooler) -> Activation { pooler == .tanh ? .tanh : .gelu }

    func pool(_ states: Matrix<Float>, _ pooler: Pooler) throws(NumericsError) -> PoolingTape {
        let features = try stack.zeros(batch.count, states.columns), n = states.columns
        for i in 0..<batch.count {
            let out = features.base + i * n
            switch pooler {
            case .mean:
                for t in batch[i] { addProduct(n, 1, states.base + t * n, to: out) }
                let count = Float(batch[i].count)
                for j in 0..<n { out[j] /= count }
            case .cls, .tanh, .context:
                out.update(from: states.base + batch[i].lowerBound * n, count: n)
            }
        }
        guard pooler.needsDense else { return PoolingTape(features: features) }
        let mapped = try stack.matrix(batch.count, n), active = try stack.matrix(batch.count, n)
        _ = try weights.forward(architecture.pooler!, mapped, x: features, stack: stack)
        try activation(pooler).forward(active, x: mapped)
        return PoolingTape(first: features, mapped: mapped, features: active)
    }

    /// `dStates ←` for `dFeatures`, which it may use up; `nil` where only the pooler is trained.
    func backward(
        _ tape: PoolingTape, _ pooler: Pooler, dFeatures: Matrix<Float>, dStates: Matrix<Float>?,
        sink: GradientSink
    ) throws(NumericsError) {
        let n = dFeatures.columns
        var dPooled = dFeatures
        if pooler.needsDense {
            let dMapped = try stack.zeros(batch.count, n)
            activation(pooler).backward(
                dx: dMapped, dy: dFeatures, x: tape.mapped!, y: tape.features)
            dPooled = try stack.zeros(batch.count, n)
            try weights.backward(
                architecture.pooler!, dx: dPooled, dy: dMapped, x: tape.first!, u: nil,
                texts: Array(0...batch.count), sink: sink, stack: stack)
        }
        guard let dStates else { return }
        dStates.fill(0)
        for i in 0..<batch.count {
            let row = dPooled.base + i * n
            let tokens = pooler == .mean ? batch[i] : batch[i].prefix(1)
            let share = pooler == .mean ? 1 / Float(batch[i].count) : 1
            for t in tokens { addProduct(n, share, row, to: dStates.base + t * n) }
        }
    }
}

extension TextEncoder {
    private func pass(_ batch: TextBatch) -> EncoderPass {
        // Nothing is trained, so that the flat vector is never read.
        let weights = EncoderWeights(
            encoder: self, layout: TrainableLayout(architecture),
            values: UnsafeMutablePointer(bitPattern: 64)!)
        return EncoderPass(weights: weights, batch: batch, stack: ActivationStack(), keeps: false)
    }

    /// `features ←` one vector for each text.
    public func features(
        _ batch: TextBatch, pooler: Pooler, into features: MutableRows<Float>
    ) throws(NumericsError) {
        guard batch.count > 0 else { return }
        let pass = pass(batch)
        let tape = try pass.pool(try pass.forward().output, pooler)
        withExtendedLifetime(pass.stack) {
            for i in 0..<batch.count {
                features[i].base.update(
                    from: tape.features.base + i * configuration.hidden,
                    count: configuration.hidden)
            }
        }
    }

    /// `states ←` the hidden states of all tokens after `blocks` blocks.
    public func hiddenStates(
        _ batch: TextBatch, blocks: Int, into states: MutableRows<Float>
    ) throws(NumericsError) {
        guard batch.count > 0 else { return }
        let pass = pass(batch)
        let output = try pass.forward(blocks: blocks).output
        withExtendedLifetime(pass.stack) {
            for t in 0..<output.rows {
                states[t].base.update(
                    from: output.base + t * output.columns, count: output.columns)
            }
        }
    }
}
