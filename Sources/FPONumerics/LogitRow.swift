/// Logits in the order of tokens with their weights `e^{(x − top) / T}`, and what is kept of them:
/// all above a threshold, and of those at it the first.
struct LogitRow {
    let count: Int
    let x, weights: UnsafePointer<Float>

    /// The key of the lowest kept logit, and the last kept token that has it.
    private var threshold: UInt32 = 0
    private var last = Int.max

    init(_ count: Int, _ x: UnsafePointer<Float>, weights: UnsafePointer<Float>) {
        self.count = count
        self.x = x
        self.weights = weights
    }

    /// Bits in the order of the values; 0 for −∞ and NaN.
    private func key(_ i: Int) -> UInt32 {
        guard x[i] > -.infinity else { return 0 }
        let bits = x[i].bitPattern
        return bits ^ (UInt32(bitPattern: Int32(bitPattern: bits) >> 31) | 0x8000_0000)
    }

    private func keeps(_ i: Int, _ key: UInt32) -> Bool {
        key > threshold || (key == threshold && i <= last && key > 0)
    }

    /// The lowest kept logit.
    var lowest: Float {
        Float(bitPattern: threshold ^ (threshold >> 31 == 0 ? 0xffff_ffff : 0x8000_0000))
    }

    /// Keeps, of what is kept, the greatest `count`.
    mutating func keep(_ count: Int) {
        (threshold, last) = selected({ _ in Double(count) }, { _ in 1 })
    }

    /// Keeps, of what is kept, the greatest that have this part of the probability, of which
    /// `total` is all where not only what is kept counts.
    mutating func keepProbability(_ part: Double, of total: Double? = nil) {
        (threshold, last) = selected({ part * (total ?? $0) }, { Double(weights[$0]) })
    }

    /// The threshold above which masses reach a target, by the digits of the keys: 11, 11 and 10
    /// bits, of each a histogram of masses.
    private func selected(
        _ target: (_ total: Double) -> Double, _ mass: (Int) -> Double
    ) -> (threshold: UInt32, last: Int) {
        var prefix: UInt32 = 0, shift: UInt32 = 32, sum = 0.0, goal = 0.0
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 2048) { masses in
            while shift > 0 {
                let bits: UInt32 = shift == 10 ? 10 : 11
                masses.initialize(repeating: 0)
                let mask: UInt32 = (1 << bits) - 1
                for i in 0..<count {
                    let key = key(i)
                    if UInt64(key) >> UInt64(shift) == prefix, keeps(i, key) {
                        masses[Int(key >> (shift - bits) & mask)] += mass(i)
                    }
                }
                if shift == 32 {
                    var total = 0.0
                    for digit in 0..<2048 { total += masses[digit] }
                    goal = target(total)
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

    /// The index at `uniform` of the kept mass, in the order of tokens.
    func draw(_ uniform: Double) -> Int? {
        var total = 0.0
        for i in 0..<count where keeps(i, key(i)) { total += Double(weights[i]) }
        var rest = uniform * total, drawn: Int?
        for i in 0..<count where keeps(i, key(i)) {
            if weights[i] > 0 { drawn = i }
            rest -= Double(weights[i])
            if rest < 0 { break }
        }
        return drawn
    }
}
