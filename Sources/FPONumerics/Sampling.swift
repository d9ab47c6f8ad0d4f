import Glibc

/// How the next token is drawn from a row of logits: temperature first, then the `topK` most
/// probable, then of those the fewest whose probabilities sum to at least `topP` (Holtzman et al.,
/// arXiv:1904.09751), renormalised. As in Transformers.
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
    /// The same bits for any number of rows and threads. A row without a finite logit gives token
    /// 0 and NaN.
    public func sample(
        _ logits: some RowMajor, uniform: UnsafePointer<Float>, banned: [Int32] = [],
        tokens: UnsafeMutablePointer<Int32>, logProbabilities: UnsafeMutablePointer<Float>
    ) {
        let (base, ld, n) = (logits.base, logits.leadingDimension, logits.columns)
        ThreadPool.shared.run(tasks: logits.rows) { row in
            let x = UnsafePointer(base + row * ld)
            let (token, logProbability) = draw(n, x, Double(uniform[row]), banned)
            tokens[row] = token
            logProbabilities[row] = logProbability
        }
    }

    private func draw(
        _ n: Int, _ x: UnsafePointer<Float>, _ uniform: Double, _ banned: [Int32]
    ) -> (Int32, Float) {
        var allowed = [Bool](repeating: true, count: n)
        for token in banned where token >= 0 && token < n { allowed[Int(token)] = false }
        var top = -Float.infinity
        for i in 0..<n { top = max(top, x[i]) }
        guard top.isFinite else { return (0, .nan) }
        var total = 0.0
        for i in 0..<n { total += Glibc.exp(Double(x[i] - top)) }
        func logProbability(_ i: Int) -> Float { Float(Double(x[i] - top) - Glibc.log(total)) }
        var order = (0..<n).filter { allowed[$0] && x[$0] > -.infinity }
        guard !order.isEmpty else { return (0, .nan) }
        order.sort { (x[$0], $1) > (x[$1], $0) }
        if temperature == 0 { return (Int32(order[0]), logProbability(order[0])) }
        if topK > 0 { order.removeLast(max(0, order.count - topK)) }
        let weights = order.map { Glibc.exp(Double((x[$0] - x[order[0]]) / temperature)) }
        var mass = weights.reduce(0, +), kept = order.count
        if topP < 1 {
            var sum = 0.0
            for (i, weight) in weights.enumerated() {
                sum += weight
                if sum >= Double(topP) * mass {
                    (mass, kept) = (sum, i + 1)
                    break
                }
            }
        }
        var rest = uniform * mass
        for i in 0..<kept {
            rest -= weights[i]
            if rest < 0 { return (Int32(order[i]), logProbability(order[i])) }
        }
        return (Int32(order[kept - 1]), logProbability(order[kept - 1]))
    }
}
