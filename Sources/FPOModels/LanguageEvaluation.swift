import FPOLayers
public import FPONumerics

extension LlamaModel {
    /// Rows of one pass, where no sequence is longer.
    static let passRows = 512

    /// How hidden states of a sequence become output rows.
    public enum Pooling: Int, Sendable { case all = 0, last, mean }

    /// Log-probabilities, entropies and whether the token is the most likely one, as the tokens
    /// stand; first tokens are left alone.
    public func score(
        _ batch: TokenBatch, adapter: LoRAAdapter?, logP: UnsafeMutablePointer<Double>?,
        entropy: UnsafeMutablePointer<Double>?, greedy: UnsafeMutablePointer<Int32>?
    ) throws(NumericsError) {
        var workspace = Workspace()
        let c = configuration
        try batch.chunks(rows: Self.passRows) { chunk, base throws(NumericsError) in
            let wanted = HeadRows(chunk, base: base) { _ in true }
            guard wanted.count > 0 else { return }
            let (tape, head) = try workspace.layOut { layout in
                (
                    LlamaTape(
                        chunk, c, layers: c.layers, keep: .nothing, lora: adapter?.layout, &layout),
                    LlamaHead(wanted.count, c, &layout)
                )
            }
            tape.forward(
                self, lora: adapter?.factors,
                attention: try workspace.attention(attention, chunk, backward: false))
            head.score(
                self, tape.hidden, wanted,
                TokenScores(logP: logP, entropy: entropy, greedy: greedy))
        }
    }

    /// The same for continuations of one context, which is computed once. Every token counts.
    public func score(
        continuations batch: TokenBatch, of context: UnsafeBufferPointer<Int32>,
        adapter: LoRAAdapter?, logP: UnsafeMutablePointer<Double>?,
        entropy: UnsafeMutablePointer<Double>?, greedy: UnsafeMutablePointer<Int32>?
    ) throws(NumericsError) {
        let out = TokenScores(logP: logP, entropy: entropy, greedy: greedy)
        let c = configuration, lora = adapter?.layout
        var workspace = Workspace()
        let cache = try KeyValueCache(c, capacity: context.count)
        let (first, head) = try workspace.layOut { layout in
            (
                LlamaTape(
                    TokenChunk(context), c, layers: c.layers, keep: .nothing, lora: lora, &layout),
                LlamaHead(batch.count, c, &layout)
            )
        }
        first.forward(self, lora: adapter?.factors) { layer, a in
            attend(a, first.chunk, layer, after: nil, [cache])
        }
        cache.advance(context.count)
        var wanted = HeadRows()
        for i in 0..<batch.count where !batch[i].isEmpty {
            wanted.rows.append(context.count - 1)
            wanted.targets.append(batch.tokens[batch[i].lowerBound])
            wanted.places.append(batch[i].lowerBound)
        }
        head.score(self, first.hidden, wanted, out)

        try batch.chunks(rows: Self.passRows, start: context.count) {
            chunk, base throws(NumericsError) in
            let wanted = HeadRows(chunk, base: base) { _ in true }
            guard wanted.count > 0 else { return }
            let (tape, head) = try workspace.layOut { layout in
                (
                    LlamaTape(chunk, c, layers: c.layers, keep: .nothing, lora: lora, &layout),
                    LlamaHead(wanted.count, c, &layout)
                )
            }
            var own: [KeyValueCache] = []
            for s in 0..<chunk.sequenceCount {
                own.append(try KeyValueCache(c, capacity: chunk[s].count))
            }
            tape.forward(self, lora: adapter?.factors) { layer, a in
                attend(a, chunk, layer, after: cache, own)
            }
            head.score(self, tape.hidden, wanted, out)
        }
    }

    /// Attention of the chunk's sequences after what their caches hold, to which their keys and
    /// values are written.
    func attend(
        _ a: BlockActivations, _ chunk: TokenChunk, _ layer: Int, after prompt: KeyValueCache?,
        _ caches: [KeyValueCache]
    ) {
        let c = configuration
        var segments: [Attention.Segment] = []
        segments.reserveCapacity(chunk.sequenceCount)
        for s in 0..<chunk.sequenceCount {
            let rows = chunk[s], cache = caches[s]
            cache.write(layer, c, a.qkv.rows(in: rows))
            segments.append(
                Attention.Segment(
                    firstRow: rows.lowerBound, rows: rows.count, prompt: prompt?.blocks[layer],
                    promptLength: prompt?.count ?? 0, own: cache.blocks[layer],
                    ownLength: cache.count + rows.count))
        }
        attention.decode(a.attention, q: c.q(a.qkv), segments: segments)
    }

    /// Hidden states after `layer` blocks (0: the embeddings; all of them: after the final norm),
    /// of all positions, or a row for each sequence. Rows of empty sequences are left alone.
    public func hiddenStates(
        _ batch: TokenBatch, adapter: LoRAAdapter?, layer: Int, pooling: Pooling,
        _ out: MutableRows<Float>
    ) throws(NumericsError) {
        var workspace = Workspace()
        let c = configuration
        try batch.chunks(rows: Self.passRows) { chunk, base throws(NumericsError) in
            let (tape, normed) = try workspace.layOut { layout in
                (
                    LlamaTape(
                        chunk, c, layers: layer, keep: .nothing, lora: adapter?.layout, &layout),
                    layout.matrix(chunk.count, c.hidden)
                )
            }
            tape.forward(
                self, lora: adapter?.factors,
                attention: try workspace.attention(attention, chunk, backward: false))
            var hidden = tape.hidden
            if layer == c.layers {
                RMSNorm.forward(normed, x: hidden, weight: finalNorm, epsilon: c.normEpsilon)
                hidden = normed
            }
            for s in 0..<chunk.sequenceCount {
                pool(
                    hidden.rows(in: chunk[s]), pooling, out, chunk.numbers[s],
                    base + chunk.bounds[s])
            }
        }
    }

    /// One sequence's rows to output row `number`, or to rows from `first` on.
    private func pool(
        _ hidden: Matrix<Float>, _ pooling: Pooling, _ out: MutableRows<Float>, _ number: Int,
        _ first: Int
    ) {
        let width = hidden.columns
        switch pooling {
        case .all:
            for i in 0..<hidden.rows {
                out[first + i].base.update(from: hidden.row(i).base, count: width)
            }
        case .last:
            out[number].base.update(from: hidden.row(hidden.rows - 1).base, count: width)
        case .mean:
            let row = out[number]
            row.fill(0)
            for i in 0..<hidden.rows {
                addProduct(width, 1 / Float(hidden.rows), hidden.row(i).base, to: row.base)
            }
        }
    }

    /// Logits of all positions of one sequence.
    public func logits(
        _ tokens: UnsafeBufferPointer<Int32>, adapter: LoRAAdapter?, _ out: MutableRows<Float>
    ) throws(NumericsError) {
        guard !tokens.isEmpty else { return }
        var workspace = Workspace()
        let c = configuration
        let chunk = TokenChunk(tokens)
        let (tape, head) = try workspace.layOut { layout in
            (
                LlamaTape(
                    chunk, c, layers: c.layers, keep: .nothing, lora: adapter?.layout, &layout),
                LlamaHead(tokens.count, c, &layout)
            )
        }
        tape.forward(
            self, lora: adapter?.factors,
            attention: try workspace.attention(attention, chunk, backward: false))
        head.logits(self, of: tape.hidden, rows: Array(0..<tokens.count)) { range, logits in
            for (i, row) in range.enumerated() {
                out[row].base.update(from: logits.row(i).base, count: c.vocabulary)
            }
        }
    }
}
