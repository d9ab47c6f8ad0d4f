import FPOLayers
public import FPONumerics

extension LoRAAdapter {
    /// Rows of one pass of supervised fine-tuning, where no sequence is longer.
    private static let passRows = 256

    /// A forward pass that waits for its backward pass.
    struct Pending: ~Copyable {
        let tape: LlamaTape
        let wanted: HeadRows
        let attention: Attention.Workspace
        /// Keeps what the chunk points to.
        let tokens: Buffer<Int32>
    }

    /// `Σ wₜ (−log pₜ)`; its gradient is added to ``gradient``. `weights` and `logP` stand as the
    /// tokens do; where a weight is 0 nothing is computed, and `logP` is left alone.
    public func loss(
        _ batch: TokenBatch, weights: UnsafePointer<Double>, dropoutKey: RandomKey,
        logP: UnsafeMutablePointer<Double>
    ) throws(NumericsError) -> Double {
        invalidate()
        let c = model.configuration
        var sum = 0.0
        try batch.chunks(rows: Self.passRows) { chunk, base throws(NumericsError) in
            let wanted = HeadRows(chunk, base: base) { weights[$0] != 0 }
            guard wanted.count > 0 else { return }
            let (tape, head, dHidden) = try workspace.layOut { space in
                (
                    self.tape(chunk, &space), LlamaHead(wanted.count, c, &space),
                    space.matrix(chunk.count, c.hidden)
                )
            }
            let attention = try workspace.attention(model.attention, chunk, backward: true)
            tape.forward(model, lora: factors, key: dropoutKey, attention: attention)
            dHidden.fill(0)
            head.backward(
                model, dHidden: dHidden, tape.hidden, wanted, coefficients: weights, scale: -1,
                TokenScores(logP: logP))
            for place in wanted.places { sum -= weights[place] * logP[place] }
            tape.backward(
                model, dx: dHidden, lora: factors, gradient: gradient.base, attention: attention)
        }
        return sum
    }

    private func tape(_ chunk: TokenChunk, _ space: inout Workspace.Layout) -> LlamaTape {
        LlamaTape(
            chunk, model.configuration, layers: model.configuration.layers,
            keep: configuration.recompute ? .inputs : .everything, lora: layout,
            dropout: Float(configuration.dropout), &space)
    }

    /// The first of two phases: log-probabilities (and entropies) of the tokens for which `isWanted`
    /// holds. Activations of the whole batch are kept.
    public func forward(
        _ batch: TokenBatch, dropoutKey: RandomKey, logP: UnsafeMutablePointer<Double>,
        entropy: UnsafeMutablePointer<Double>?, isWanted: (Int) -> Bool
    ) throws(NumericsError) {
        invalidate()
        pendingTokens = batch.tokenCount
        let tokens = try Buffer<Int32>(batch.tokenCount)
        tokens.base.update(from: batch.tokens, count: batch.tokenCount)
        let own = TokenBatch(count: batch.count, offsets: batch.offsets, tokens: tokens.base)
        var found: (TokenChunk, HeadRows)?
        own.chunks(rows: .max) { chunk, base in
            found = (chunk, HeadRows(chunk, base: base, isWanted: isWanted))
        }
        guard let (chunk, wanted) = found else {
            isPending = true
            return
        }
        let tape = try workspace.layOut { self.tape(chunk, &$0) }
        let attention = try workspace.attention(model.attention, chunk, backward: true)
        let head = try headWorkspace.layOut { LlamaHead(wanted.count, model.configuration, &$0) }
        tape.forward(model, lora: factors, key: dropoutKey, attention: attention)
        head.score(model, tape.hidden, wanted, TokenScores(logP: logP, entropy: entropy))
        pending = Pending(tape: tape, wanted: wanted, attention: attention, tokens: tokens)
        isPending = true
    }

    /// The second phase: adds `Σ cₜ ∂ log pₜ / ∂parameters` to ``gradient``; `coefficients` stand
    /// as the tokens do, and count where log-probabilities were wanted.
    public func backward(_ coefficients: UnsafePointer<Double>) throws(NumericsError) {
        isPending = false
        guard let pass = pending.take() else { return }
        var wanted = HeadRows()
        for i in 0..<pass.wanted.count where coefficients[pass.wanted.places[i]] != 0 {
            wanted.rows.append(pass.wanted.rows[i])
            wanted.targets.append(pass.wanted.targets[i])
            wanted.places.append(pass.wanted.places[i])
        }
        guard wanted.count > 0 else { return }
        let c = model.configuration
        let (head, dHidden) = try headWorkspace.layOut { layout in
            (LlamaHead(wanted.count, c, &layout), layout.matrix(pass.tape.chunk.count, c.hidden))
        }
        dHidden.fill(0)
        head.backward(
            model, dHidden: dHidden, pass.tape.hidden, wanted, coefficients: coefficients,
            scale: 1, TokenScores())
        pass.tape.backward(
            model, dx: dHidden, lora: factors, gradient: gradient.base,
            attention: pass.attention)
    }
}
