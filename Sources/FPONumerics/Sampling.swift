import CShims
import FPOKernelTypes

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
    /// with all tokens banned, gives token 0 and NaN. The logits are written to, and restored.
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
                : withoutBanned(n, x, banned) { draw(n, x, -1, -.infinity, uniform[row]) }
            tokens[row] = Int32(token ?? 0)
            logProbabilities[row] =
                token == nil || !state.0.isFinite
                ? .nan : (x[token!] - state.0) - Float.log(onePlus: state.1 - 1)
        }
    }

    /// Runs `body` while banned logits are −∞.
    private func withoutBanned(
        _ n: Int, _ x: UnsafeMutablePointer<Float>, _ banned: [Int32], _ body: () -> Int?
    ) -> Int? {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: banned.count) { kept in
            for (i, token) in banned.enumerated() where token >= 0 && token < n {
                kept[i] = x[Int(token)]
                x[Int(token)] = -.infinity
            }
            let drawn = body()
            // Backwards, so that a token banned twice gets its first value.
            for (i, token) in banned.enumerated().reversed() where token >= 0 && token < n {
                x[Int(token)] = kept[i]
            }
            return drawn
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
        var row = Row(count: n, x: x, inverseTemperature: inverse, shift: top * inverse)
        if topK > 0 && topK < n { row.keep(topK) }
        if topP < 1 { row.keepProbability(Double(topP)) }
        return row.draw(Double(uniform)) ?? first
    }
}

/// A row of logits and what is kept of it: all above a threshold, and of those at it the first.
private struct Row {
    let count: Int
    let x: UnsafePointer<Float>
    let inverseTemperature, shift: Float

    /// The bits of the lowest kept logit, and the last kept token that has it.
    private var threshold: UInt32 = 0
    private var last = Int.max

    init(count: Int, x: UnsafePointer<Float>, inverseTemperature: Float, shift: Float) {
        self.count = count
        self.x = x
        self.inverseTemperature = inverseTemperature
        self.shift = shift
    }

    /// Bits in the order of the values; 0 for −∞ and NaN.
    private func key(_ i: Int) -> UInt32 {
        guard x[i] > -.infinity else { return 0 }
        let bits = x[i].bitPattern
        return bits ^ (bits >> 31 == 0 ? 0x8000_0000 : 0xffff_ffff)
    }

    private func keeps(_ i: Int, _ key: UInt32) -> Bool {
        key > threshold || (key == threshold && i <= last && key > 0)
    }

    /// `e^{(x − top) / T}`.
    private func weight(_ i: Int) -> Double {
        var y = x[i] * inverseTemperature
        transformerKernels.layers.scaledExponential(1, 1, shift, &y)
        return Double(y)
    }

    private static let block = 4096

    /// Calls `body` with the weights of a block of tokens after the other.
    private func eachBlock(_ body: (_ first: Int, _ weights: UnsafeBufferPointer<Float>) -> Void) {
        let kernels = transformerKernels.layers, scratch = fpo_scratch()!
        for first in stride(from: 0, to: count, by: Self.block) {
            let n = min(Self.block, count - first)
            for i in 0..<n { scratch[i] = x[first + i] * inverseTemperature }
            kernels.scaledExponential(n, 1, shift, scratch)
            body(first, UnsafeBufferPointer(start: scratch, count: n))
        }
    }

    /// Keeps, of what is kept, the greatest `count`.
    mutating func keep(_ count: Int) {
        (threshold, last) = selected(
            { _ in Double(count) },
            histogram: { histogram in
                for i in 0..<self.count {
                    let key = key(i)
                    if keeps(i, key) { histogram[Int(key >> 21)] += 1 }
                }
            }, mass: { _ in 1 })
    }

    /// Keeps, of what is kept, the greatest that have this part of the probability.
    mutating func keepProbability(_ part: Double) {
        (threshold, last) = selected(
            { total in part * total },
            histogram: { histogram in
                if threshold > 0 {
                    for i in 0..<count {
                        let key = key(i)
                        if keeps(i, key) { histogram[Int(key >> 21)] += weight(i) }
                    }
                } else {
                    eachBlock { first, weights in
                        for i in 0..<weights.count {
                            let key = key(first + i)
                            if key > 0 { histogram[Int(key >> 21)] += Double(weights[i]) }
                        }
                    }
                }
            }, mass: { weight($0) })
    }

    /// The threshold above which masses reach a target, by the digits of the keys: 11, 11 and 10
    /// bits, of each a histogram of masses. `histogram` fills the first.
    private func selected(
        _ target: (_ total: Double) -> Double,
        histogram: (UnsafeMutablePointer<Double>) -> Void, mass: (Int) -> Double
    ) -> (threshold: UInt32, last: Int) {
        var prefix: UInt32 = 0, shift: UInt32 = 32, sum = 0.0, goal = 0.0
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2048) { masses in
            while shift > 0 {
                let bits: UInt32 = shift == 10 ? 10 : 11
                masses.initialize(repeating: 0)
                if shift == 32 {
                    histogram(masses.baseAddress!)
                    var total = 0.0
                    for digit in 0..<2048 { total += masses[digit] }
                    goal = target(total)
                } else {
                    let mask: UInt32 = (1 << bits) - 1
                    for i in 0..<count {
                        let key = key(i)
                        if key >> shift == prefix, keeps(i, key) {
                            masses[Int(key >> (shift - bits) & mask)] += mass(i)
                        }
                    }
                }
                // Rounding may leave the goal out of reach: the lowest digit there is, then.
                var chosen = 0, above = sum
                for digit in (0..<1 << Int(bits)).reversed() where masses[digit] > 0 {
                    (chosen, above) = (digit, sum)
                    sum += masses[digit]
                    if sum >= goal { break }
                }
                sum = above
                shift -= bits
                prefix = prefix << bits | UInt32(chosen)
            }
        }
        // Of the equals the first.
        var end = -1
        for i in 0..<count where key(i) == prefix && keeps(i, prefix) {
            sum += mass(i)
            end = i
            if sum >= goal { break }
        }
        return (prefix, end)
    }

    /// The token at `uniform` of the kept mass, in the order of tokens.
    func draw(_ uniform: Double) -> Int? {
        if threshold == 0 { return drawAny(uniform) }
        var total = 0.0
        for i in 0..<count where keeps(i, key(i)) { total += weight(i) }
        var rest = uniform * total, drawn: Int?
        for i in 0..<count where keeps(i, key(i)) {
            let weight = weight(i)
            if weight > 0 { drawn = i }
            rest -= weight
            if rest < 0 { break }
        }
        return drawn
    }

    /// Where all are kept: by blocks first.
    private func drawAny(_ uniform: Double) -> Int? {
        let blocks = (count + Self.block - 1) / Self.block
        return withUnsafeTemporaryAllocation(of: Double.self, capacity: blocks) { sums in
            var total = 0.0
            eachBlock { first, weights in
                var sum = SIMD4<Double>.zero, i = 0
                while i + 4 <= weights.count {
                    sum += SIMD4<Double>(
                        Double(weights[i]), Double(weights[i + 1]), Double(weights[i + 2]),
                        Double(weights[i + 3]))
                    i += 4
                }
                var tail = sum.sum()
                while i < weights.count {
                    tail += Double(weights[i])
                    i += 1
                }
                sums.initializeElement(at: first / Self.block, to: tail)
                total += tail
            }
            var rest = uniform * total, block = 0
            while block < blocks - 1 && rest >= sums[block] {
                rest -= sums[block]
                block += 1
            }
            let start = block * Self.block
            var drawn: Int?
            for i in start..<min(start + Self.block, count) where x[i] > -.infinity {
                let weight = weight(i)
                if weight > 0 { drawn = i }
                rest -= weight
                if rest < 0 { break }
            }
            return drawn
        }
    }
}
