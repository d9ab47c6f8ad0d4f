public import FPONumerics
import Glibc

/// Softmax attention with grouped key-value heads: head `h` reads key-value head
/// `h / (heads / keyValueHeads)` (Vaswani et al., arXiv:1706.03762; Ainslie et al.,
/// arXiv:2305.13245).
///
///     s_ij = scale qᵢ·kⱼ + bias_ij       p = softmax over j       outᵢ = Σⱼ p_ij vⱼ
///
/// A batch is ragged: sequence `s` is rows `sequences[s] ..< sequences[s + 1]` of `q`, `out`
/// `(T, heads · D)` and `k`, `v` `(T, keyValueHeads · D)`; sequences do not see each other. Causal
/// rows see the keys up to their own.
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

    /// Memory for `forward` and `backward` on up to `tokens` rows in up to `sequences` sequences.
    public final class Workspace: @unchecked Sendable {
        let memory: Buffer<Float>
        let tokens, sequences: Int

        public init(
            _ attention: Attention, tokens: Int, sequences: Int, backward: Bool
        ) throws(NumericsError) {
            self.tokens = tokens
            self.sequences = sequences
            memory = try Buffer(1)
        }
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
        check(out, heads)
        let D = headDimension, T = q.rows
        let (q, k, v, out) = (Strided(q), Strided(k), Strided(v), Strided(out))
        ThreadPool.shared.run(tasks: heads) { h in
            let g = h / (heads / keyValueHeads)
            var p = [Double](repeating: 0, count: T)
            each(sequences) { rows, biasStart in
                let n = rows.count
                for i in 0..<n {
                    let count = causal ? i + 1 : n
                    var top = -Double.infinity, sum = 0.0
                    for j in 0..<count {
                        let dotted = dot(
                            D, q[rows.lowerBound + i] + h * D, k[rows.lowerBound + j] + g * D)
                        p[j] = Double(scale * dotted)
                        if let bias { p[j] += Double(bias[biasStart + (h * n + i) * n + j]) }
                        top = max(top, p[j])
                    }
                    for j in 0..<count {
                        p[j] = exp(p[j] - top)
                        sum += p[j]
                    }
                    statistics?[h, rows.lowerBound + i] = Float(top + log(sum))
                    let o = out[rows.lowerBound + i] + h * D
                    for d in 0..<D {
                        var value = 0.0
                        for j in 0..<count {
                            value += p[j] * Double(v[rows.lowerBound + j][g * D + d])
                        }
                        o[d] = Float(value / sum)
                    }
                }
            }
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
        check(out, heads)
        check(dOut, heads)
        let D = headDimension
        let (q, k, v, out, dOut) = (Strided(q), Strided(k), Strided(v), Strided(out), Strided(dOut))
        let (dq, dk, dv) = (Strided(dq), Strided(dk), Strided(dv))
        ThreadPool.shared.run(tasks: keyValueHeads) { g in
            for h in g * (heads / keyValueHeads)..<(g + 1) * (heads / keyValueHeads) {
                each(sequences) { rows, biasStart in
                    let n = rows.count, first = rows.lowerBound
                    for i in 0..<n {
                        let dO = dOut[first + i] + h * D
                        let delta = dot(D, dO, out[first + i] + h * D)
                        for j in 0..<(causal ? i + 1 : n) {
                            let at = biasStart + (h * n + i) * n + j
                            var s = scale * dot(D, q[first + i] + h * D, k[first + j] + g * D)
                            if let bias { s += bias[at] }
                            let p = exp(s - statistics[h, first + i])
                            let ds = p * (dot(D, dO, v[first + j] + g * D) - delta)
                            dBias?[at] += ds
                            addProduct(D, p, dO, to: dv[first + j] + g * D)
                            addProduct(
                                D, scale * ds, k[first + j] + g * D, to: dq[first + i] + h * D)
                            addProduct(
                                D, scale * ds, q[first + i] + h * D, to: dk[first + j] + g * D)
                        }
                    }
                }
            }
        }
    }

    private func each(_ sequences: [Int], _ body: (Range<Int>, _ biasStart: Int) -> Void) {
        var start = 0
        for (first, end) in zip(sequences, sequences.dropFirst()) {
            body(first..<end, start)
            start += heads * (end - first) * (end - first)
        }
    }

    private func check(_ view: some RowMajor, _ heads: Int) {
        precondition(
            view.columns == heads * headDimension,
            "Attention: \(view.columns) columns for \(heads) heads of \(headDimension)")
    }

    private func check(
        _ q: some RowMajor, _ k: some RowMajor, _ v: some RowMajor, _ sequences: [Int],
        _ workspace: Workspace
    ) {
        check(q, heads)
        check(k, keyValueHeads)
        check(v, keyValueHeads)
        precondition(
            q.rows <= workspace.tokens && sequences.count - 1 <= workspace.sequences
                && sequences.first == 0 && sequences.last == q.rows,
            "Attention: \(q.rows) rows in \(sequences.count - 1) sequences")
    }
}

/// A base address and the distance of rows.
struct Strided {
    let base: UnsafeMutablePointer<Float>
    let leadingDimension: Int

    init(_ view: some RowMajor) {
        base = view.base
        leadingDimension = view.leadingDimension
    }

    subscript(_ row: Int) -> UnsafeMutablePointer<Float> { base + row * leadingDimension }
}
