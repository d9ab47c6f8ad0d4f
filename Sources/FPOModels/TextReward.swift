import FPOLayers
public import FPONumerics

/// A reward of texts, `r = head(pool(encoder(text)))`, whose trainable parameters are one flat
/// vector: a copy, as the encoder never changes.
///
/// Training takes two calls, so that any objective of the scores works: ``forward(_:dropout:key:)``
/// and ``backward(_:into:)``. The gradients of single texts are told apart by
/// ``gram(_:into:)``, as inner products.
public final class TextReward: @unchecked Sendable {
    public let encoder: TextEncoder
    public let pooler: Pooler
    public let head: RewardHead
    /// Under their checkpoint names; adapters as `<module>.lora_A.weight` and `lora_B`.
    public var parameters: [Tensor] { layout.parameters }
    public var count: Int { layout.count }
    /// The flat vector, `(1, count)`.
    public let values: Matrix<Float>

    let layout: TrainableLayout
    private let memory: Buffer<Float>
    private let stack = ActivationStack()
    private var kept: Kept?

    /// What `backward` needs of the last `forward`.
    private struct Kept {
        let pass: EncoderPass
        let tape: EncoderTape?
        let pooled: PoolingTape
        let head: HeadTape
        /// Owns what the pass's batch points to.
        let tokens: TokenCopy
    }

    private struct HeadTape {
        /// The pooled vectors after dropout, and the hidden layer.
        var features: Matrix<Float>
        var mapped, active: Matrix<Float>?
    }

    private final class TokenCopy {
        let tokens, types: Buffer<Int32>
        init(_ batch: TextBatch) throws(NumericsError) {
            tokens = try Buffer(batch.tokenCount)
            types = try Buffer(batch.types == nil ? 0 : batch.tokenCount)
            tokens.base.update(from: batch.tokens, count: batch.tokenCount)
            if let given = batch.types { types.base.update(from: given, count: types.count) }
        }
    }

    /// The head's weights are `headScale` times normal draws of the key and its biases zero; of the
    /// adapters, `A` is uniform on `±1/√inputs` and `B` zero.
    public init(
        _ encoder: TextEncoder, pooler: Pooler, head: RewardHead, trainable: Trainable,
        key: RandomKey, headScale: Double
    ) throws(NumericsError) {
        precondition(encoder.isFinished, "the encoder is not complete")
        precondition(!pooler.needsDense || encoder.architecture.pooler != nil, "no pooler.dense")
        self.encoder = encoder
        self.pooler = pooler
        self.head = head
        layout = TrainableLayout(encoder.architecture, trainable, pooler: pooler, head: head)
        memory = try Buffer(layout.count)
        values = Matrix(base: memory.base, rows: 1, columns: layout.count)
        for (index, offset) in layout.copies.enumerated() {
            if let offset { encoder.copy(index, to: memory.base + offset) }
        }
        let table = try Float.kernels()
        for (index, tensor) in layout.parameters.enumerated() {
            let view = tensor.view(values), key = key.fold(UInt64(index))
            if tensor.name.hasPrefix("head.") && tensor.name.hasSuffix("weight") {
                table.normal(key.value, view.count, view.base)
                for i in 0..<view.count { view.base[i] *= Float(headScale) }
            } else if tensor.name.hasSuffix("lora_A.weight") {
                table.uniform(key.value, view.count, view.base)
                let bound = 1 / Float(view.columns).squareRoot()
                for i in 0..<view.count { view.base[i] = bound * (2 * view.base[i] - 1) }
            }
        }
    }

    /// The parameters changed: what `forward` kept is no longer theirs.
    public func parametersChanged() { kept = nil }

    // MARK: Scores

    /// `scores ← r`, and the pooled vectors that the head saw.
    public func scores(
        _ batch: TextBatch, into scores: UnsafeMutablePointer<Double>? = nil,
        features: MutableRows<Float>? = nil
    ) throws(NumericsError) {
        kept = nil
        guard batch.count > 0 else { return }
        stack.removeAll()
        let pass = pass(batch, nil, keeps: false)
        let pooled = try pass.pool(try pass.forward().output, pooler)
        if let scores {
            let (_, values) = try forward(pooled.features)
            scores.update(from: values, count: values.count)
        }
        guard let features else { return }
        for i in 0..<batch.count {
            features[i].base.update(
                from: pooled.features.base + i * features.columns, count: features.columns)
        }
    }

    /// `scores ← r`, and everything is kept that `backward` needs.
    public func forward(
        _ batch: TextBatch, dropout: Double, key: RandomKey,
        into scores: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        kept = nil
        stack.removeAll()
        guard batch.count > 0 else { return }
        let values = try keep(batch, dropout > 0 ? Dropout(rate: dropout, key: key) : nil)
        scores.update(from: values, count: values.count)
    }

    /// Whether `backward` has a forward pass of this many texts to go back through.
    public var keptCount: Int? { kept?.pass.batch.count }

    /// `gradient += Σᵢ cᵢ ∇rᵢ`, once for a forward pass.
    public func backward(
        _ coefficients: UnsafePointer<Double>, into gradient: UnsafeMutablePointer<Float>
    ) throws(NumericsError) {
        try backward(coefficients, .sum(gradient))
        kept = nil
    }

    // MARK: Gradients of single texts

    /// `gram ← ⟨gᵢ, gⱼ⟩`, `(texts, texts)`.
    public func gram(
        _ batch: TextBatch, into gram: MutableRows<Double>
    ) throws(NumericsError) {
        guard batch.count > 0 else { return }
        let products = try GhostGram(texts: batch.count)
        try separate(batch, .gram(products))
        for i in 0..<batch.count {
            for j in 0..<batch.count { gram[i].base[j] = products[i, j] }
        }
    }

    /// Row `i` of `gradients (texts, count)` `← gᵢ`.
    public func gradients(
        _ batch: TextBatch, into gradients: MutableRows<Float>
    ) throws(NumericsError) {
        guard batch.count > 0 else { return }
        let rows = try Buffer<Float>(batch.count, count)
        try separate(batch, .rows(rows.base, leadingDimension: count))
        for i in 0..<batch.count {
            gradients[i].base.update(from: rows.base + i * count, count: count)
        }
    }

    private func separate(_ batch: TextBatch, _ sink: GradientSink) throws(NumericsError) {
        kept = nil
        defer { kept = nil }
        stack.removeAll()
        _ = try keep(batch, nil)
        try backward([Double](repeating: 1, count: batch.count), sink)
    }

    // MARK: Passes

    private func pass(_ batch: TextBatch, _ dropout: Dropout?, keeps: Bool) -> EncoderPass {
        let weights = EncoderWeights(encoder: encoder, layout: layout, values: memory.base)
        return EncoderPass(
            weights: weights, batch: batch, stack: stack, dropout: dropout, keeps: keeps)
    }

    private func keep(_ batch: TextBatch, _ dropout: Dropout?) throws(NumericsError) -> [Double] {
        let copy = try TokenCopy(batch)
        let own = TextBatch(
            tokens: copy.tokens.base,
            types: batch.types.map { _ in UnsafePointer(copy.types.base) },
            offsets: batch.offsets)
        let pass = pass(own, dropout, keeps: true)
        let tape = try pass.forward()
        let pooled = try pass.pool(tape.output, pooler)
        var features = pooled.features
        if let dropout {
            features = try stack.matrix(features.rows, features.columns)
            features.base.update(from: pooled.features.base, count: features.count)
            try dropout.apply(features, site: headSite, texts: texts(batch.count), stack: stack)
        }
        let (head, values) = try forward(features)
        kept = Kept(pass: pass, tape: tape, pooled: pooled, head: head, tokens: copy)
        return values
    }

    private var headSite: Int { EncoderPass.site(block: encoder.configuration.blocks, 0) }

    /// Rows of matrices with one row for a text.
    private func texts(_ count: Int) -> [Int] { Array(0...count) }

    private func backward(
        _ coefficients: UnsafePointer<Double>, _ sink: GradientSink
    ) throws(NumericsError) {
        guard let kept else { preconditionFailure("backward without forward") }
        let pass = kept.pass, n = pass.batch.count, width = encoder.configuration.hidden
        let dFeatures = try stack.zeros(n, width)
        try backward(kept.head, coefficients, dFeatures, sink)
        let reachesBlocks = layout.firstBlock < encoder.configuration.blocks
        guard reachesBlocks || layout.trainsEmbeddings || trainsPooler else { return }
        if let dropout = pass.dropout {
            try dropout.apply(dFeatures, site: headSite, texts: texts(n), stack: stack)
        }
        let goesOn = reachesBlocks || layout.trainsEmbeddings
        let dStates = goesOn ? try stack.matrix(pass.batch.tokenCount, width) : nil
        try pass.backward(
            kept.pooled, pooler, dFeatures: dFeatures, dStates: dStates, sink: sink)
        if let dStates, let tape = kept.tape {
            try pass.backward(tape, dOutput: dStates, sink: sink)
        }
    }

    private var trainsPooler: Bool {
        pooler.needsDense && layout.copies[encoder.architecture.pooler!.weight] != nil
    }

    // MARK: Head

    private func parameter(_ offset: Int?, _ rows: Int, _ columns: Int) -> Matrix<Float>? {
        offset.map { Matrix(base: memory.base + $0, rows: rows, columns: columns) }
    }

    private func forward(
        _ features: Matrix<Float>
    ) throws(NumericsError) -> (HeadTape, [Double]) {
        var tape = HeadTape(features: features), input = features
        if let weight = parameter(layout.hiddenWeight, head.hidden, features.columns) {
            let mapped = try stack.matrix(features.rows, head.hidden)
            let active = try stack.matrix(features.rows, head.hidden)
            GEMM.multiply(mapped, features, weight, transposeB: true)
            for i in 0..<mapped.rows {
                addProduct(
                    head.hidden, 1, memory.base + layout.hiddenBias!,
                    to: mapped.base + i * head.hidden)
            }
            try head.activation.forward(active, x: mapped)
            (tape.mapped, tape.active, input) = (mapped, active, active)
        }
        let dot = try Float.kernels().dot
        let bias = layout.headBias.map { Double(memory.base[$0]) } ?? 0
        let scores = (0..<input.rows).map {
            dot(input.columns, input.base + $0 * input.columns, memory.base + layout.headWeight!)
                + bias
        }
        return (tape, scores)
    }

    /// `dFeatures +=`, and the head's own gradients.
    private func backward(
        _ tape: HeadTape, _ coefficients: UnsafePointer<Double>, _ dFeatures: Matrix<Float>,
        _ sink: GradientSink
    ) throws(NumericsError) {
        let n = tape.features.rows
        let input = tape.active ?? tape.features
        let scores = try stack.matrix(n, 1), dWeight = try stack.zeros(n, input.columns)
        let dInput = tape.active == nil ? dFeatures : try stack.zeros(n, input.columns)
        for i in 0..<n {
            let c = Float(coefficients[i]), row = i * input.columns
            scores.base[i] = c
            addProduct(input.columns, c, input.base + row, to: dWeight.base + row)
            addProduct(
                input.columns, c, memory.base + layout.headWeight!, to: dInput.base + row)
        }
        sink.vector(layout.headWeight!, dWeight)
        if let bias = layout.headBias { sink.vector(bias, scores) }
        guard let mapped = tape.mapped, let active = tape.active else { return }
        let dMapped = try stack.zeros(n, head.hidden)
        head.activation.backward(dx: dMapped, dy: dInput, x: mapped, y: active)
        let uses = [GradientSink.Use(dy: dMapped, x: tape.features, texts: texts(n))]
        try sink.weight(layout.hiddenWeight!, uses: uses, stack: stack)
        try sink.bias(layout.hiddenBias!, uses: uses, stack: stack)
        let weight = parameter(layout.hiddenWeight, head.hidden, dFeatures.columns)!
        GEMM.multiply(dFeatures, dMapped, weight, adding: true)
    }
}
