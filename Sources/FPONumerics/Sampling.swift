/// How the next token is drawn from a row of logits: temperature first, then the `topK` most
/// probable, then of those the fewest whose probabilities sum to at least `topP` (Holtzman et al.,
/// arXiv:1904.09751), renormalised. As in Transformers; of equal logits the lower token stays.
public struct Sampling: Sendable {
    /// 0 takes the most probable token, and the lowest of equals.
    public var temperature: Float
    /// 0 keeps all.
    public var topK: Int
    /// 1 keeps all.
    public var topP: Float

    public init(temperature: Float = 1, topK: Int = 0, topP: Float = 1) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
    }

    /// One token for each row of `logits (n, vocabulary)`.
    ///
    /// - Parameters:
    ///   - uniform: `n` draws from `[0, 1)`.
    ///   - banned: tokens that may not be drawn, such as the end before the minimum length.
    ///   - logProbabilities: `n` elements: that of the token under `softmax(logits)`, before
    ///     temperature and truncation and with the banned tokens counted.
    ///
    /// The same bits for any number of rows and threads. A row without a finite greatest logit, or
    /// with all tokens banned, gives token 0 and NaN. Rows may be one and the same in memory.
    public func sample(
        _ logits: some RowMajor, uniform: UnsafePointer<Float>, banned: [Int32] = [],
        tokens: UnsafeMutablePointer<Int32>, logProbabilities: UnsafeMutablePointer<Float>
    ) {
        let (base, ld, n) = (logits.base, logits.leadingDimension, logits.columns)
        ThreadPool.shared.run(tasks: logits.rows) { row in
            let x = base + row * ld
            var state = (-Float.infinity, Float(0), Float(0), Float(0), Float(0), Float(0))
            let first = withUnsafeMutablePointer(to: &state) {
                $0.withMemoryRebound(to: Float.self, capacity: 6) {
                    transformerKernels.layers.accumulate(n, x, $0)
                }
            }
            let token =
                banned.isEmpty
                ? draw(n, x, first, state.0, uniform[row])
                : without(banned, n, x) { draw(n, $0, -1, -.infinity, uniform[row]) }
            tokens[row] = Int32(token ?? 0)
            logProbabilities[row] =
                token == nil || !state.0.isFinite
                ? .nan : (x[token!] - state.0) - Float.log(onePlus: state.1 - 1)
        }
    }

    /// Runs `body` on a copy of the logits in which those of banned tokens are −∞.
    private func without(
        _ banned: [Int32], _ n: Int, _ x: UnsafePointer<Float>,
        _ body: (UnsafePointer<Float>) -> Int?
    ) -> Int? {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: n) { copy in
            let copy = copy.baseAddress!
            copy.initialize(from: x, count: n)
            for token in banned where token >= 0 && token < n { copy[Int(token)] = -.infinity }
            return body(copy)
        }
    }

    /// `first` is the index of the greatest logit, `top`, or negative if unknown.
    private func draw(
        _ n: Int, _ x: UnsafePointer<Float>, _ first: Int, _ top: Float, _ uniform: Float
    ) -> Int? {
        var (first, top) = (first, top)
        if first < 0 {
            for i in 0..<n where x[i] > top { (first, top) = (i, x[i]) }
        }
        guard first >= 0, top.isFinite else { return nil }
        let inverse = 1 / temperature
        guard temperature > 0, (top * inverse).isFinite else { return first }
        let tempering = Tempering(inverse: inverse, shift: top * inverse)
        let limit = topK > 0 && topK < n ? topK : nil
        if limit == nil && topP >= 1 { return tempering.draw(n, x, Double(uniform)) ?? first }
        let draw = Draw(limit: limit, part: topP < 1 ? Double(topP) : nil, uniform: Double(uniform))
        return Candidates.draw(draw, n, x, tempering, top: top) ?? first
    }
}
