import FPOLayers
import FPONumerics
import Glibc

/// DeBERTa's disentangled attention (He et al., arXiv:2006.03654, equation 4): the score of query
/// `i` and key `j` gets, for the row `δ = δ(i − j)` of the relative embeddings,
///
///     bias_ij = s (qᵢ · Kᵣ(δ) + kⱼ · Qᵣ(δ)),   Kᵣ = key(R), Qᵣ = query(R),   s = 1 / √(terms D)
///
/// Only the rows of distances that the batch has are computed.
struct RelativePositions {
    /// Rows `first ..< first + rows` of the relative embeddings are in use.
    let first, rows: Int
    /// `row(δ(i − j)) − first` at `i − j + longest − 1`.
    private let buckets: [Int32]
    private let longest: Int

    init(_ c: EncoderConfiguration, longest: Int) {
        self.longest = longest
        let all = (1 - longest..<longest).map { distance in
            let bucket = c.positionBuckets > 0 ? Self.bucket(distance, c) : distance
            return min(max(bucket + c.span, 0), 2 * c.span - 1)
        }
        first = all.min()!
        rows = all.max()! - first + 1
        buckets = all.map { [first] in Int32($0 - first) }
    }

    /// Near distances have a bucket each, far ones share logarithmic buckets; rounded in single
    /// precision as the published code is.
    private static func bucket(_ distance: Int, _ c: EncoderConfiguration) -> Int {
        let half = c.positionBuckets / 2, size = abs(distance)
        guard size > half, half > 0 else { return distance }
        let ratio =
            logf(Float(size) / Float(half)) / logf(Float(Double(c.reach - 1) / Double(half)))
        let far = (ratio * Float(half - 1)).rounded(.up) + Float(half)
        guard far.isFinite else { return distance.signum() * c.span }
        return distance.signum() * Int(min(max(far, -1e6), 1e6))
    }

    /// The position projections of one block, `(rows, hidden)`.
    struct Projections {
        var key, query: Matrix<Float>?
        /// What their adapters need.
        var keyU, queryU: Matrix<Float>?
    }

    /// Calls `body` with each head's columns.
    private func heads(_ c: EncoderConfiguration, _ body: (Int, Range<Int>) -> Void) {
        let D = c.headWidth
        ThreadPool.shared.run(tasks: c.heads) { body($0, $0 * D..<($0 + 1) * D) }
    }

    private func scratch(
        _ c: EncoderConfiguration, _ stack: ActivationStack
    ) throws(NumericsError) -> Matrix<Float> {
        try stack.matrix(2 * c.heads * longest, rows)
    }

    /// Two matrices `(n, rows)` for head `h`.
    private func pair(
        _ scratch: Matrix<Float>, _ h: Int, _ n: Int
    ) -> (Matrix<Float>, Matrix<Float>) {
        (scratch.rows(2 * h * longest, count: n), scratch.rows((2 * h + 1) * longest, count: n))
    }

    /// `bias ←`, in the layout of ``Attention``.
    func bias(
        _ bias: UnsafeMutablePointer<Float>, q: Matrix<Float>, k: Matrix<Float>,
        _ positions: Projections, scale: Float, _ c: EncoderConfiguration, texts: [Int],
        stack: ActivationStack
    ) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let scratch = try scratch(c, stack)
        var start = bias
        for (first, end) in zip(texts, texts.dropFirst()) {
            let n = end - first, bias = start
            let q = q.rows(first, count: n), k = k.rows(first, count: n)
            heads(c) { h, columns in
                let (toPosition, fromPosition) = pair(scratch, h, n)
                if let key = positions.key {
                    GEMM.multiply(
                        toPosition, q.columns(columns), key.columns(columns), transposeB: true,
                        alpha: scale)
                }
                if let query = positions.query {
                    GEMM.multiply(
                        fromPosition, k.columns(columns), query.columns(columns),
                        transposeB: true, alpha: scale)
                }
                let out = bias + h * n * n
                buckets.withUnsafeBufferPointer { buckets in
                    for i in 0..<n {
                        for j in 0..<n {
                            let bucket = Int(buckets[i - j + longest - 1])
                            var sum: Float = 0
                            if positions.key != nil { sum += toPosition[i, bucket] }
                            if positions.query != nil { sum += fromPosition[j, bucket] }
                            out[i * n + j] = sum
                        }
                    }
                }
            }
            start += c.heads * n * n
        }
    }

    /// Adds the gradients of `⟨dBias, bias⟩`. Where `dPositions` has more rows than there are
    /// distances, each text has its own.
    func backward(
        dBias: UnsafePointer<Float>, dq: Matrix<Float>, dk: Matrix<Float>,
        _ dPositions: Projections, q: Matrix<Float>, k: Matrix<Float>, _ positions: Projections,
        scale: Float, _ c: EncoderConfiguration, texts: [Int], stack: ActivationStack
    ) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let scratch = try scratch(c, stack)
        var start = dBias
        for (text, (first, end)) in zip(texts, texts.dropFirst()).enumerated() {
            let n = end - first, dBias = start
            func part(_ matrix: Matrix<Float>) -> Matrix<Float> { matrix.rows(first, count: n) }
            func own(_ matrix: Matrix<Float>) -> Matrix<Float> {
                matrix.rows(matrix.rows > rows ? text * rows : 0, count: rows)
            }
            heads(c) { h, columns in
                let (toPosition, fromPosition) = pair(scratch, h, n)
                toPosition.fill(0)
                fromPosition.fill(0)
                let dBias = dBias + h * n * n
                buckets.withUnsafeBufferPointer { buckets in
                    for i in 0..<n {
                        for j in 0..<n {
                            let bucket = Int(buckets[i - j + longest - 1])
                            toPosition[i, bucket] += dBias[i * n + j]
                            fromPosition[j, bucket] += dBias[i * n + j]
                        }
                    }
                }
                func add(
                    _ d: Matrix<Float>, _ dContent: Matrix<Float>, _ content: Matrix<Float>,
                    _ dPosition: Matrix<Float>?, _ position: Matrix<Float>
                ) {
                    GEMM.multiply(
                        part(dContent).columns(columns), d, position.columns(columns),
                        alpha: scale, adding: true)
                    guard let dPosition else { return }
                    GEMM.multiply(
                        own(dPosition).columns(columns), d, part(content).columns(columns),
                        transposeA: true, alpha: scale, adding: true)
                }
                if let key = positions.key { add(toPosition, dq, q, dPositions.key, key) }
                if let query = positions.query { add(fromPosition, dk, k, dPositions.query, query) }
            }
            start += c.heads * n * n
        }
    }
}
