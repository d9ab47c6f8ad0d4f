import CShims
import FPOKernelTypes

/// What is drawn from a row: of its `limit` greatest, or all, those that have `part` of the
/// probability, or all, at `uniform`.
struct Draw {
    let limit: Int?
    let part: Double?
    let uniform: Double

    /// An index into `row`; `total` is the mass of the logits that the row is of.
    func callAsFunction(_ row: LogitRow, of total: Double? = nil) -> Int? {
        var row = row
        if let limit { row.keep(limit) }
        if let part { row.keepProbability(part, of: total) }
        return row.draw(uniform)
    }
}

/// `e^{(x − top) / T}`.
struct Tempering {
    let inverse: Float
    /// `top / T`.
    let shift: Float

    static let block = 4096

    func weigh(_ n: Int, _ x: UnsafePointer<Float>, _ weights: UnsafeMutablePointer<Float>) {
        for i in 0..<n { weights[i] = x[i] * inverse }
        transformerKernels.layers.scaledExponential(n, 1, shift, weights)
    }

    /// The weights of a block of tokens after the other: their sums, added up by `body`.
    func eachBlock(
        _ n: Int, _ x: UnsafePointer<Float>, _ body: (_ first: Int, _ count: Int, Double) -> Void
    ) {
        let weights = fpo_scratch()!
        for first in stride(from: 0, to: n, by: Self.block) {
            let count = min(Self.block, n - first)
            weigh(count, x + first, weights)
            var sum = SIMD4<Double>.zero, i = 0
            while i + 4 <= count {
                sum += SIMD4<Double>(
                    Double(weights[i]), Double(weights[i + 1]), Double(weights[i + 2]),
                    Double(weights[i + 3]))
                i += 4
            }
            var total = sum.sum()
            while i < count {
                total += Double(weights[i])
                i += 1
            }
            body(first, count, total)
        }
    }

    /// From all logits.
    func draw(_ n: Int, _ x: UnsafePointer<Float>, _ uniform: Double) -> Int? {
        let blocks = (n + Self.block - 1) / Self.block
        return withUnsafeTemporaryAllocation(of: Double.self, capacity: blocks) { sums in
            var total = 0.0
            eachBlock(n, x) { first, _, sum in
                sums.initializeElement(at: first / Self.block, to: sum)
                total += sum
            }
            var rest = uniform * total, block = 0
            while block < blocks - 1 && rest >= sums[block] {
                rest -= sums[block]
                block += 1
            }
            let start = block * Self.block, count = min(Self.block, n - start)
            let weights = fpo_scratch()!
            weigh(count, x + start, weights)
            var drawn: Int?
            for i in 0..<count where x[start + i] > -.infinity {
                if weights[i] > 0 { drawn = start + i }
                rest -= Double(weights[i])
                if rest < 0 { break }
            }
            return drawn
        }
    }
}

/// The greatest of a row's logits, among them all that can be kept: a few, unless the distribution
/// is flat. The rest need not be looked at again.
struct Candidates {
    private static let group = 32

    private let n: Int
    private let x: UnsafePointer<Float>
    private let tempering: Tempering
    /// The greatest logit of each group of neighbours.
    private let maxima: UnsafeMutablePointer<Float>
    private let groups: Int
    private let logits, weights: UnsafeMutablePointer<Float>
    private let tokens: UnsafeMutablePointer<Float>
    private var count = 0

    private init(
        _ n: Int, _ x: UnsafePointer<Float>, _ tempering: Tempering,
        _ memory: UnsafeMutablePointer<Float>
    ) {
        self.n = n
        self.x = x
        self.tempering = tempering
        (logits, weights, tokens, maxima) = (memory, memory + n, memory + 2 * n, memory + 3 * n)
        groups = (n + Self.group - 1) / Self.group
    }

    /// What `draw` gives from the whole row, whose greatest logit is `top`.
    static func draw(
        _ draw: Draw, _ n: Int, _ x: UnsafePointer<Float>, _ tempering: Tempering, top: Float
    ) -> Int? {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 4 * n) { memory in
            var candidates = Self(n, x, tempering, memory.baseAddress!)
            var total: Double?
            if let limit = draw.limit {
                candidates.find(limit)
            } else {
                total = candidates.find(part: draw.part ?? 1, top: top)
            }
            let row = LogitRow(candidates.count, candidates.logits, weights: candidates.weights)
            return draw(row, of: total).map { Int(candidates.tokens[$0].bitPattern) }
        }
    }

    /// Those of at least the `limit`-th of the greatest logits of groups.
    private mutating func find(_ limit: Int) {
        findMaxima(0..<n)
        if limit <= groups {
            var row = LogitRow(groups, maxima, weights: maxima)
            row.keep(limit)
            collect(from: row.lowest)
        }
        if count < limit { collect(from: -.infinity) }
    }

    /// Those near the greatest, further and further down until they have the part. Returns the mass
    /// of all.
    private mutating func find(part: Double, top: Float) -> Double? {
        var total = 0.0
        tempering.eachBlock(n, x) { first, count, sum in
            findMaxima(first..<first + count)
            total += sum
        }
        for depth: Float in [4, 8, 16] {
            collect(from: top - depth / tempering.inverse)
            var mass = 0.0
            for i in 0..<count { mass += Double(weights[i]) }
            if mass > (part + 1e-9) * total { return total }
        }
        collect(from: -.infinity)
        return nil
    }

    /// A NaN is passed over.
    private func findMaxima(_ range: Range<Int>) {
        for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.group) {
            var greatest = SIMD4<Float>(repeating: -.infinity), i = first
            let end = min(first + Self.group, n)
            while i + 4 <= end {
                let v = UnsafeRawPointer(x + i).loadUnaligned(as: SIMD4<Float>.self)
                greatest.replace(with: v, where: v .> greatest)
                i += 4
            }
            var top = greatest.max()
            while i < end {
                if x[i] > top { top = x[i] }
                i += 1
            }
            maxima[first / Self.group] = top
        }
    }

    /// Takes the logits of at least `floor`.
    private mutating func collect(from floor: Float) {
        var count = 0
        for g in 0..<groups where maxima[g] >= floor {
            for i in g * Self.group..<min((g + 1) * Self.group, n) where x[i] >= floor {
                logits[count] = x[i]
                tokens[count] = Float(bitPattern: UInt32(i))
                count += 1
            }
        }
        self.count = count
        tempering.weigh(count, logits, weights)
    }
}
