import FPOLayers
import FPONumerics

extension EncoderPass {
    /// Takes the gradient of the last hidden states, which it uses up, to the parameters.
    func backward(
        _ tape: EncoderTape, dOutput: Matrix<Float>, sink: GradientSink
    ) throws(NumericsError) {
        let trainsEmbeddings = weights.layout.trainsEmbeddings
        let workspace = try attentionWorkspace(backward: true)
        let segments = sink.separates ? batch.count : 1
        var dRelative: Matrix<Float>?
        if trainsEmbeddings, let relative = tape.relative {
            dRelative = try stack.zeros(segments * relative.positions.rows, configuration.hidden)
        }
        var dx: Matrix<Float>?
        if trainsEmbeddings { dx = try stack.zeros(dOutput.rows, dOutput.columns) }
        for (at, block) in tape.blocks.enumerated().reversed() {
            let k = firstBlock + at
            if k == 0, let convolution = tape.convolution {
                try backward(convolution, dy: dOutput, dx: dx, sink)
            }
            let mark = stack.mark
            try backward(
                k, block, dy: dOutput, wantsInput: at > 0 || trainsEmbeddings, tape.relative,
                dRelative, workspace, sink)
            stack.release(to: mark)
        }
        guard trainsEmbeddings else { return }
        addProduct(dx!.count, 1, dOutput.base, to: dx!.base)
        if let relative = tape.relative {
            try backward(relative, dRelative!, segments, sink)
        }
        try backward(tape.embeddings!, dx!, sink)
    }

    /// `x` with the site's mask on it: `x` itself without dropout.
    private func dropped(_ x: Matrix<Float>, _ site: Int) throws(NumericsError) -> Matrix<Float> {
        guard let dropout else { return x }
        let masked = try stack.matrix(x.rows, x.columns)
        masked.base.update(from: x.base, count: x.count)
        try dropout.apply(masked, site: site, texts: texts, stack: stack)
        return masked
    }

    /// `dy` becomes the gradient of the block's input, if that is wanted.
    private func backward(
        _ index: Int, _ tape: BlockTape, dy: Matrix<Float>, wantsInput: Bool,
        _ relative: RelativeTape?, _ dRelative: Matrix<Float>?, _ workspace: Attention.Workspace,
        _ sink: GradientSink
    ) throws(NumericsError) {
        let block = architecture.blocks[index], (n, d) = (dy.rows, dy.columns)
        // Feed-forward; the residual connection carries the gradient of `sum` to `middle`.
        let dMiddle = try stack.zeros(n, d)
        try weights.backward(
            block.norm, dx: dMiddle, dy: dy, x: tape.sum, statistics: tape.statistics,
            texts: texts, sink: sink, stack: stack)
        let dActive = try stack.zeros(n, configuration.intermediate)
        let dWide = try stack.zeros(n, configuration.intermediate)
        try weights.backward(
            block.dense, dx: dActive, dy: try dropped(dMiddle, Self.site(block: index, 1)),
            x: tape.active, u: nil, texts: texts, sink: sink, stack: stack)
        configuration.activation.backward(dx: dWide, dy: dActive, x: tape.wide, y: tape.active)
        try weights.backward(
            block.intermediate, dx: dMiddle, dy: dWide, x: tape.middle, u: nil, texts: texts,
            sink: sink, stack: stack)

        // Attention; `dy` takes the gradient of `attended`, and so of the residual connection.
        dy.fill(0)
        try weights.backward(
            block.outputNorm, dx: dy, dy: dMiddle, x: tape.attended,
            statistics: tape.attendedStatistics, texts: texts, sink: sink, stack: stack)
        let dContext = try stack.zeros(n, d)
        try weights.backward(
            block.output, dx: dContext, dy: try dropped(dy, Self.site(block: index, 0)),
            x: tape.context, u: tape.outputU, texts: texts, sink: sink, stack: stack)
        let dq = try stack.zeros(n, d), dk = try stack.zeros(n, d), dv = try stack.zeros(n, d)
        let dBias = try tape.bias.map { bias throws(NumericsError) in
            try stack.zeros(1, bias.count)
        }
        attention.backward(
            dq: dq, dk: dk, dv: dv, dBias: dBias?.base, dOut: dContext, out: tape.context,
            q: tape.q, k: tape.k, v: tape.v, sequences: texts,
            bias: tape.bias.map { UnsafePointer($0.base) }, statistics: tape.logSums,
            workspace: workspace)
        let dx = wantsInput ? dy : nil
        var query = ProjectionGradient(dq, tape.x, tape.qU, dx, texts)
        var key = ProjectionGradient(dk, tape.x, tape.kU, dx, texts)
        if let relative, let dBias {
            try backward(
                block, tape, relative, dBias: dBias, dRelative, query: &query, key: &key, sink)
        }
        try weights.backward(
            block.query, uses: query.uses, dx: query.dx, sink: sink, stack: stack)
        try weights.backward(block.key, uses: key.uses, dx: key.dx, sink: sink, stack: stack)
        try weights.backward(
            block.value, dx: dx, dy: dv, x: tape.x, u: tape.vU, texts: texts, sink: sink,
            stack: stack)
    }

    /// The uses of a projection, and where the gradients of their inputs go.
    private struct ProjectionGradient {
        var uses: [EncoderWeights.Use]
        var dx: [Matrix<Float>?]

        init(
            _ dy: Matrix<Float>, _ x: Matrix<Float>, _ u: Matrix<Float>?, _ dx: Matrix<Float>?,
            _ texts: [Int]
        ) {
            uses = [EncoderWeights.Use(dy: dy, x: x, u: u, texts: texts)]
            self.dx = [dx]
        }
    }

    /// The part of the relative positions: their gradients in content and position projections, and
    /// the position projections' own in the weights, which the content may share.
    private func backward(
        _ block: EncoderArchitecture.Block, _ tape: BlockTape, _ relative: RelativeTape,
        dBias: Matrix<Float>, _ dRelative: Matrix<Float>?, query: inout ProjectionGradient,
        key: inout ProjectionGradient, _ sink: GradientSink
    ) throws(NumericsError) {
        let rows = relative.positions.rows
        let segments = sink.separates ? batch.count : 1
        func room(_ position: Matrix<Float>?) throws(NumericsError) -> Matrix<Float>? {
            guard let position else { return nil }
            return try stack.zeros(segments * rows, position.columns)
        }
        let d = RelativePositions.Projections(
            key: try room(tape.positions.key), query: try room(tape.positions.query))
        try relative.positions.backward(
            dBias: dBias.base, dq: query.uses[0].dy, dk: key.uses[0].dy, d, q: tape.q, k: tape.k,
            tape.positions, scale: attention.scale, configuration, texts: texts, stack: stack)
        let segmentRows = (0...segments).map { $0 * rows }
        func use(_ d: Matrix<Float>, _ u: Matrix<Float>?) -> EncoderWeights.Use {
            EncoderWeights.Use(
                dy: d, x: relative.normalized, u: u, texts: segmentRows, shared: true)
        }
        if let dKey = d.key {
            let keyUse = use(dKey, tape.positions.keyU)
            if let own = block.positionKey {
                try weights.backward(
                    own, uses: [keyUse], dx: [dRelative], sink: sink, stack: stack)
            } else {
                key.uses.append(keyUse)
                key.dx.append(dRelative)
            }
        }
        if let dQuery = d.query {
            let queryUse = use(dQuery, tape.positions.queryU)
            if let own = block.positionQuery {
                try weights.backward(
                    own, uses: [queryUse], dx: [dRelative], sink: sink, stack: stack)
            } else {
                query.uses.append(queryUse)
                query.dx.append(dRelative)
            }
        }
    }

    private func backward(
        _ tape: RelativeTape, _ dNormalized: Matrix<Float>, _ segments: Int, _ sink: GradientSink
    ) throws(NumericsError) {
        let rows = tape.positions.rows, width = configuration.hidden
        var dRaw = dNormalized
        if let norm = architecture.relativeNorm {
            dRaw = try stack.zeros(dNormalized.rows, width)
            let texts = (0...segments).map { $0 * rows }
            try weights.backward(
                norm, dx: dRaw, dy: dNormalized, x: tape.raw, statistics: tape.statistics!,
                texts: texts, shared: true, sink: sink, stack: stack)
        }
        let offset = weights.layout.copies[architecture.relative!]!
        sink.vector(
            offset + tape.positions.first * width,
            Matrix(base: dRaw.base, rows: segments, columns: rows * width))
    }

    /// `dy` becomes the gradient of the first block's output, `dx +=` that of its input.
    private func backward(
        _ tape: ConvolutionTape, dy: Matrix<Float>, dx: Matrix<Float>?, _ sink: GradientSink
    ) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let dSum = try stack.zeros(dy.rows, dy.columns)
        try weights.backward(
            architecture.convolutionNorm!, dx: dSum, dy: dy, x: tape.sum,
            statistics: tape.statistics, texts: texts, sink: sink, stack: stack)
        dy.base.update(from: dSum.base, count: dSum.count)
        guard let dx else { return }
        let dMapped = try stack.zeros(dy.rows, dy.columns)
        configuration.convolutionActivation.backward(
            dx: dMapped, dy: dSum, x: tape.mapped, y: tape.active)
        let dUnfolded = try stack.zeros(tape.unfolded.rows, tape.unfolded.columns)
        try weights.backward(
            architecture.convolution!, dx: dUnfolded, dy: try dropped(dMapped, 1),
            x: tape.unfolded, u: nil, texts: texts, sink: sink, stack: stack)
        let width = configuration.convolution
        forEachTap { t, s, tap in
            for i in 0..<dx.columns { dx[s, i] += dUnfolded[t, i * width + tap] }
        }
    }

    private func backward(
        _ tape: EmbeddingTape, _ dOutput: Matrix<Float>, _ sink: GradientSink
    ) throws(NumericsError) {
        let dSum = try stack.zeros(dOutput.rows, dOutput.columns)
        try weights.backward(
            architecture.embeddingNorm, dx: dSum, dy: try dropped(dOutput, 0), x: tape.sum,
            statistics: tape.statistics, texts: texts, sink: sink, stack: stack)
        var dNarrow = dSum
        if let projection = architecture.projection {
            dNarrow = try stack.zeros(dSum.rows, tape.narrow.columns)
            try weights.backward(
                projection, dx: dNarrow, dy: dSum, x: tape.narrow, u: nil, texts: texts,
                sink: sink, stack: stack)
        }
        let copies = weights.layout.copies
        func add(_ table: Int, _ rows: UnsafePointer<Int32>) throws(NumericsError) {
            try sink.embedding(copies[table]!, rows: rows, dy: dNarrow, texts: texts)
        }
        func add(_ table: Int, _ rows: [Int32]) throws(NumericsError) {
            let memory = try Buffer.copy(of: rows)
            try add(table, memory.base)
        }
        try add(architecture.words, batch.tokens)
        if let table = architecture.positions { try add(table, tape.positions) }
        if let table = architecture.types {
            if let types = batch.types {
                try add(table, types)
            } else {
                try add(table, [Int32](repeating: 0, count: batch.tokenCount))
            }
        }
    }
}
