import CShims
import FPOKernelTypes
public import FPONumerics

/// Softmax attention with grouped key-value heads: head `h` reads key-value head
/// `h / (heads / keyValueHeads)` (Vaswani et al., arXiv:1706.03762; Ainslie et al.,
/// arXiv:2305.13245).
///
///     s_ij = scale qᵢ·kⱼ + bias_ij       p = softmax over j       outᵢ = Σⱼ p_ij vⱼ
///
/// A batch is ragged: sequence `s` is rows `sequences[s] ..< sequences[s + 1]` of `q`, `out`
/// `(T, heads · D)` and `k`, `v` `(T, keyValueHeads · D)`; sequences do not see each other. Causal
/// rows see the keys up to their own (a later value that is not finite may still make them NaN).
public struct Attention: Sendable {
    public let heads, keyValueHeads, headDimension: Int
    public let causal: Bool
    public let scale: Float

    /// `scale` is `1 / √D` unless given.
    public init(
        heads: Int, keyValueHeads: Int, headDimension: Int, causal: Bool, scale: Float? = nil
    ) {
        precondition(
            keyValueHeads > 0 && heads % keyValueHeads == 0 && headDimension > 0
                && headDimension % 2 == 0 && headDimension <= 256,
            "Attention: \(heads) heads, \(keyValueHeads) key-value heads of \(headDimension)")
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        self.causal = causal
        self.scale = scale ?? 1 / Float(headDimension).squareRoot()
    }

    /// - Parameters:
    ///   - bias: for sequence `s` of `n` rows `heads · n · n` elements `(heads, n, n)`, one
    ///     sequence after the other; row `i`, column `j` is added to `s_ij`.
    ///   - statistics: `(heads, T)`: the logarithm of `Σⱼ e^{s_ij}`, for `backward`.
    public func forward(
        _ out: some RowMajor, q: some RowMajor, k: some RowMajor, v: some RowMajor,
        sequences: [Int], bias: UnsafePointer<Float>? = nil, statistics: Matrix<Float>? = nil,
        workspace: Workspace
    ) {
        check(q, k, v, sequences, workspace)
        check(out, heads, rows: q.rows)
        precondition(
            statistics == nil || statistics!.count == heads * q.rows, "Attention: statistics")
        let (D, T) = (headDimension, q.rows), kernels = transformerKernels.attention
        let (q, k, v, out) = (Strided(q), Strided(k), Strided(v), Strided(out))
        let group = heads / keyValueHeads, blocks = workspace.blocks.base
        let count = cut(sequences, blocks), small = T * heads * D < 8192
        let keys = workspace.memory.base
        let copies = keys + (T + 31 * (sequences.count - 1)) * keyValueHeads * D
        run(blocks, count, heads: keyValueHeads, small: small) { block, g in
            turn(k, keyValueHeads, g, block, keys)
            copy(v, keyValueHeads, g, block, copies)
        }
        run(blocks, count, heads: heads, small: small) { block, h in
            let g = h / group
            kernels.forward(
                head(block, h, T, bias, statistics), block.first..<block.last,
                .init(q[block.start] + h * D, q.leadingDimension),
                turned(keys, keyValueHeads, g, block), panels(v, keyValueHeads, g, block, copies),
                .init(out[block.start] + h * D, out.leadingDimension), fpo_scratch())
        }
    }

    /// Adds the gradients of `⟨dOut, out⟩`; `dBias` has the layout of `bias`.
    public func backward(
        dq: some RowMajor, dk: some RowMajor, dv: some RowMajor,
        dBias: UnsafeMutablePointer<Float>? = nil, dOut: some RowMajor, out: some RowMajor,
        q: some RowMajor, k: some RowMajor, v: some RowMajor, sequences: [Int],
        bias: UnsafePointer<Float>? = nil, statistics: Matrix<Float>, workspace: Workspace
    ) {
        check(q, k, v, sequences, workspace)
        check(dq, dk, dv, sequences, workspace)
        check(out, heads, rows: q.rows)
        check(dOut, heads, rows: q.rows)
        precondition(workspace.backward, "Attention: a workspace for forward alone")
        precondition(statistics.count == heads * q.rows, "Attention: statistics")
        let (D, T) = (headDimension, q.rows), kernels = transformerKernels.attention
        let (H, KV, group) = (heads, keyValueHeads, heads / keyValueHeads)
        let (q, k, v, out, dOut) = (Strided(q), Strided(k), Strided(v), Strided(out), Strided(dOut))
        let (dq, dk, dv) = (Strided(dq), Strided(dk), Strided(dv))
        let blocks = workspace.blocks.base, padded = T + 31 * (sequences.count - 1)
        let count = cut(sequences, blocks), small = T * H * D < 8192

        let keys = workspace.memory.base, values = keys + padded * KV * D
        let queries = values + padded * KV * D, dOuts = queries + padded * H * D
        let delta = dOuts + padded * H * D, keyCopies = delta + padded * H
        let queryCopies = keyCopies + padded * KV * width
        let dOutCopies = queryCopies + padded * H * width
        run(blocks, count, heads: H, small: small) { block, h in
            if h < KV {
                turn(k, KV, h, block, keys)
                turn(v, KV, h, block, values)
                copy(k, KV, h, block, keyCopies)
            }
            turn(q, H, h, block, queries)
            turn(dOut, H, h, block, dOuts)
            copy(q, H, h, block, queryCopies)
            copy(dOut, H, h, block, dOutCopies)
        }
        run(blocks, count, heads: H, small: small) { block, h in
            let g = h / group, at = h * D
            kernels.queryBackward(
                head(block, h, T, bias, statistics), block.first..<block.last,
                .init(q[block.start] + at, q.leadingDimension), turned(keys, KV, g, block),
                turned(values, KV, g, block), panels(k, KV, g, block, keyCopies),
                .init(out[block.start] + at, out.leadingDimension),
                .init(dOut[block.start] + at, dOut.leadingDimension),
                .init(dq[block.start] + at, dq.leadingDimension),
                dBias.map { $0 + block.bias + h * block.count * block.count },
                delta + h * T + block.start, fpo_scratch())
        }
        run(blocks, count, heads: KV, small: small) { block, g in
            for h in g * group..<(g + 1) * group {
                kernels.keyBackward(
                    head(block, h, T, bias, statistics), block.first..<block.last,
                    .init(k[block.start] + g * D, k.leadingDimension),
                    .init(v[block.start] + g * D, v.leadingDimension),
                    turned(queries, H, h, block), turned(dOuts, H, h, block),
                    panels(q, H, h, block, queryCopies), panels(dOut, H, h, block, dOutCopies),
                    .init(dk[block.start] + g * D, dk.leadingDimension),
                    .init(dv[block.start] + g * D, dv.leadingDimension),
                    delta + h * T + block.start, fpo_scratch())
            }
        }
    }

    private func head(
        _ block: Block, _ h: Int, _ tokens: Int, _ bias: UnsafePointer<Float>?,
        _ statistics: Matrix<Float>?
    ) -> AttentionKernels.Head {
        .init(
            count: block.count, dimension: headDimension, causal: causal, scale: scale,
            bias: bias.map { $0 + block.bias + h * block.count * block.count },
            statistics: statistics.map { $0.base + h * tokens + block.start })
    }

    private func check(_ view: some RowMajor, _ heads: Int, rows: Int) {
        precondition(
            view.columns == heads * headDimension && view.rows == rows,
            "Attention: (\(view.rows), \(view.columns)) for \(heads) heads of \(headDimension)")
    }

    private func check(
        _ q: some RowMajor, _ k: some RowMajor, _ v: some RowMajor, _ sequences: [Int],
        _ workspace: Workspace
    ) {
        check(q, heads, rows: q.rows)
        check(k, keyValueHeads, rows: q.rows)
        check(v, keyValueHeads, rows: q.rows)
        precondition(
            q.rows <= workspace.tokens && sequences.count - 1 <= workspace.sequences
                && sequences.first == 0 && sequences.last == q.rows,
            "Attention: \(q.rows) rows in \(sequences.count - 1) sequences")
        for s in 1..<sequences.count {
            precondition(
                (0...AttentionKernels.maximumKeys).contains(sequences[s] - sequences[s - 1]),
                "Attention: a sequence of \(sequences[s] - sequences[s - 1]) rows")
        }
    }
}
