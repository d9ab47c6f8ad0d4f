import FPOLayers
import FPONumerics

/// One computation of an encoder on a batch of texts.
///
///     x ← norm(x + W_o attention(x)),   x ← norm(x + W₂ f(W₁ x))
struct EncoderPass {
    let weights: EncoderWeights
    let batch: TextBatch
    let stack: ActivationStack
    /// In training only.
    var dropout: Dropout?
    /// Whether to keep what the backward pass needs.
    var keeps: Bool

    var configuration: EncoderConfiguration { weights.configuration }
    var architecture: EncoderArchitecture { weights.architecture }
    var texts: [Int] { batch.offsets }
    var firstBlock: Int { weights.layout.firstBlock }

    var attention: Attention {
        let c = configuration
        return Attention(
            heads: c.heads, keyValueHeads: c.heads, headDimension: c.headWidth, causal: false,
            scale: 1 / Float(c.headWidth * c.terms).squareRoot())
    }

    /// Elements of the scores of all texts.
    private var scoreCount: Int {
        zip(texts, texts.dropFirst()).reduce(0) {
            $0 + configuration.heads * ($1.1 - $1.0) * ($1.1 - $1.0)
        }
    }

    // MARK: Forward

    /// Hidden states after the first `count` blocks, all by default.
    func forward(blocks count: Int? = nil) throws(NumericsError) -> EncoderTape {
        let c = configuration
        let output = try stack.matrix(batch.tokenCount, c.hidden)
        var tape = EncoderTape(output: output)
        let first = try embed(output)
        if keeps && weights.layout.trainsEmbeddings { tape.embeddings = first }
        let relative = try c.isRelative ? self.relative() : nil
        if keeps { tape.relative = relative }
        let workspace = try attentionWorkspace(backward: false)
        for k in 0..<(count ?? c.blocks) {
            let mark = stack.mark
            let keepsBlock = keeps && k >= firstBlock
            let isConvolved = k == 0 && architecture.convolution != nil
            let x = try keepsBlock || isConvolved ? copy(output) : output
            let block = try forward(k, x: x, output, relative, workspace)
            if isConvolved {
                let convolution = try convolve(x, output)
                if keepsBlock { tape.convolution = convolution }
            }
            if keepsBlock {
                tape.blocks.append(block)
            } else {
                stack.release(to: mark)
            }
        }
        return tape
    }

    func attentionWorkspace(backward: Bool) throws(NumericsError) -> Attention.Workspace {
        try Attention.Workspace(
            attention, tokens: batch.tokenCount, sequences: batch.count, backward: backward)
    }

    private func copy(_ x: Matrix<Float>) throws(NumericsError) -> Matrix<Float> {
        let copy = try stack.matrix(x.rows, x.columns)
        copy.base.update(from: x.base, count: x.count)
        return copy
    }

    private func drop(_ x: Matrix<Float>, _ site: Int) throws(NumericsError) {
        try dropout?.apply(x, site: site, texts: texts, stack: stack)
    }

    /// Sites of dropout: 0 the embeddings, 1 the convolution, then two for each block.
    static func site(block: Int, _ part: Int) -> Int { 2 + 2 * block + part }

    /// `output ← norm(words + positions + types)`
    private func embed(_ output: Matrix<Float>) throws(NumericsError) -> EmbeddingTape {
        let n = batch.tokenCount
        let narrow = try stack.matrix(n, configuration.embeddingWidth)
        Embedding.forward(narrow, tokens: batch.tokens, table: weights.plain(architecture.words))
        let positions = self.positions()
        if let table = architecture.positions {
            positions.withUnsafeBufferPointer {
                Embedding.forward(
                    narrow, tokens: $0.baseAddress!, table: weights.plain(table), adding: true)
            }
        }
        if let table = architecture.types {
            if let types = batch.types {
                Embedding.forward(narrow, tokens: types, table: weights.plain(table), adding: true)
            } else {
                let row = weights.plain(table).base
                for t in 0..<n {
                    addProduct(narrow.columns, 1, row, to: narrow.base + t * narrow.columns)
                }
            }
        }
        var sum = narrow
        if let projection = architecture.projection {
            sum = try stack.matrix(n, configuration.hidden)
            _ = try weights.forward(projection, sum, x: narrow, stack: stack)
        }
        let statistics = try weights.forward(
            architecture.embeddingNorm, output, x: sum, stack: stack)
        try drop(output, 0)
        return EmbeddingTape(
            positions: positions, narrow: narrow, sum: sum, statistics: statistics)
    }

    /// RoBERTa counts the tokens that are not padding, from the id after the padding token's.
    private func positions() -> [Int32] {
        var positions = [Int32](repeating: 0, count: batch.tokenCount)
        let padding = Int32(configuration.paddingToken)
        for i in 0..<batch.count {
            var next: Int32 = configuration.family == .roberta ? padding + 1 : 0
            for t in batch[i] {
                if configuration.family == .roberta && batch.tokens[t] == padding {
                    positions[t] = padding
                } else {
                    positions[t] = next
                    next += 1
                }
            }
        }
        return positions
    }

    private func relative() throws(NumericsError) -> RelativeTape {
        let positions = RelativePositions(configuration, longest: batch.longest)
        let table = weights.plain(architecture.relative!)
        let raw = table.rows(positions.first, count: positions.rows)
        guard let norm = architecture.relativeNorm else {
            return RelativeTape(positions: positions, raw: raw, normalized: raw)
        }
        let normalized = try stack.matrix(raw.rows, raw.columns)
        let statistics = try weights.forward(norm, normalized, x: raw, stack: stack)
        return RelativeTape(
            positions: positions, raw: raw, normalized: normalized, statistics: statistics)
    }

    private func forward(
        _ index: Int, x: Matrix<Float>, _ output: Matrix<Float>, _ relative: RelativeTape?,
        _ workspace: Attention.Workspace
    ) throws(NumericsError) -> BlockTape {
        let (n, d) = (x.rows, configuration.hidden)
        let block = architecture.blocks[index]
        let q = try stack.matrix(n, d), k = try stack.matrix(n, d), v = try stack.matrix(n, d)
        let qU = try weights.forward(block.query, q, x: x, stack: stack)
        let kU = try weights.forward(block.key, k, x: x, stack: stack)
        let vU = try weights.forward(block.value, v, x: x, stack: stack)
        var positions = RelativePositions.Projections()
        var bias: Matrix<Float>?
        if let relative {
            positions = try project(block, relative)
            bias = try stack.matrix(1, scoreCount)
            try relative.positions.bias(
                bias!.base, q: q, k: k, positions, scale: attention.scale, configuration,
                texts: texts, stack: stack)
        }
        let context = try stack.matrix(n, d)
        let logSums = try stack.matrix(configuration.heads, n)
        attention.forward(
            context, q: q, k: k, v: v, sequences: texts, bias: bias.map { UnsafePointer($0.base) },
            statistics: logSums, workspace: workspace)

        let attended = try stack.matrix(n, d), middle = try stack.matrix(n, d)
        let outputU = try weights.forward(block.output, attended, x: context, stack: stack)
        try drop(attended, Self.site(block: index, 0))
        let attendedStatistics = try weights.forward(
            block.outputNorm, middle, x: attended, adding: x, stack: stack)

        let wide = try stack.matrix(n, configuration.intermediate)
        let active = try stack.matrix(n, configuration.intermediate)
        let sum = try stack.matrix(n, d)
        _ = try weights.forward(block.intermediate, wide, x: middle, stack: stack)
        try configuration.activation.forward(active, x: wide)
        _ = try weights.forward(block.dense, sum, x: active, stack: stack)
        try drop(sum, Self.site(block: index, 1))
        let statistics = try weights.forward(
            block.norm, output, x: sum, adding: middle, stack: stack)
        return BlockTape(
            x: x, q: q, k: k, v: v, qU: qU, kU: kU, vU: vU, outputU: outputU, positions: positions,
            bias: bias, context: context, logSums: logSums, attended: attended,
            attendedStatistics: attendedStatistics, middle: middle, wide: wide, active: active,
            sum: sum, statistics: statistics)
    }

    private func project(
        _ block: EncoderArchitecture.Block, _ relative: RelativeTape
    ) throws(NumericsError) -> RelativePositions.Projections {
        let rows = relative.normalized
        var positions = RelativePositions.Projections()
        if configuration.contentToPosition {
            positions.key = try stack.matrix(rows.rows, rows.columns)
            positions.keyU = try weights.forward(
                block.positionKey ?? block.key, positions.key!, x: rows, stack: stack)
        }
        if configuration.positionToContent {
            positions.query = try stack.matrix(rows.rows, rows.columns)
            positions.queryU = try weights.forward(
                block.positionQuery ?? block.query, positions.query!, x: rows, stack: stack)
        }
        return positions
    }

    /// `y ← norm(y + f(conv(x)))`: a convolution over each text, zeros beyond its ends.
    private func convolve(
        _ x: Matrix<Float>, _ y: Matrix<Float>
    ) throws(NumericsError) -> ConvolutionTape {
        let width = configuration.convolution
        let unfolded = try stack.zeros(x.rows, x.columns * width)
        forEachTap { t, s, tap in
            for i in 0..<x.columns { unfolded[t, i * width + tap] = x[s, i] }
        }
        let mapped = try stack.matrix(x.rows, x.columns)
        let active = try stack.matrix(x.rows, x.columns)
        _ = try weights.forward(architecture.convolution!, mapped, x: unfolded, stack: stack)
        try drop(mapped, 1)
        try configuration.convolutionActivation.forward(active, x: mapped)
        let sum = try copy(active)
        let statistics = try weights.forward(
            architecture.convolutionNorm!, y, x: sum, adding: try copy(y), stack: stack)
        return ConvolutionTape(
            unfolded: unfolded, mapped: mapped, active: active, sum: sum, statistics: statistics)
    }

    /// Calls `body` with each token, each neighbour in its text that the convolution sees, and the
    /// neighbour's place in the kernel.
    func forEachTap(_ body: (_ token: Int, _ neighbour: Int, _ tap: Int) -> Void) {
        let width = configuration.convolution
        for i in 0..<batch.count {
            for t in batch[i] {
                for tap in 0..<width {
                    let s = t + tap - width / 2
                    if batch[i].contains(s) { body(t, s, tap) }
                }
            }
        }
    }
}
