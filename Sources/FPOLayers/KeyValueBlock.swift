public import FPONumerics
import Glibc

/// Keys and values of consecutive tokens in one attention layer, in the order that ``Attention``
/// reads them: keys `(keyValueHeads, D, capacity)`, values `(keyValueHeads, capacity, D)`. A view:
/// the memory is the caller's, zeroed, `elements(...)` floats.
public struct KeyValueBlock: @unchecked Sendable {
    public let keys, values: UnsafeMutablePointer<Float>
    public let keyValueHeads, headDimension, capacity: Int

    /// Floats for at least `tokens` tokens.
    public static func elements(tokens: Int, keyValueHeads: Int, headDimension: Int) -> Int {
        2 * keyValueHeads * headDimension * padded(tokens)
    }

    /// Room for `tokens` tokens and a little more.
    public init(
        base: UnsafeMutablePointer<Float>, tokens: Int, keyValueHeads: Int, headDimension: Int
    ) {
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        capacity = Self.padded(tokens)
        keys = base
        values = base + keyValueHeads * headDimension * capacity
    }

    /// A multiple of the vector, and an odd one: columns then spread over the cache.
    private static func padded(_ tokens: Int) -> Int { (tokens + 15) / 16 * 16 | 16 }

    /// Writes the rows of `k` and `v` `(count, keyValueHeads · D)` as tokens from `position` on.
    public func write(at position: Int, k: some RowMajor, v: some RowMajor) {
        let D = headDimension
        precondition(
            position >= 0 && position + k.rows <= capacity && v.rows == k.rows
                && k.columns == keyValueHeads * D && v.columns == keyValueHeads * D,
            "KeyValueBlock: tokens \(position)..<\(position + k.rows) of \(capacity)")
        for i in 0..<k.rows {
            let kRow = k.base + i * k.leadingDimension, vRow = v.base + i * v.leadingDimension
            for g in 0..<keyValueHeads {
                for d in 0..<D { keys[(g * D + d) * capacity + position + i] = kRow[g * D + d] }
                (values + (g * capacity + position + i) * D).update(from: vRow + g * D, count: D)
            }
        }
    }
}

extension Attention {
    /// New tokens of one sequence, after a shared prompt and the sequence's own past.
    public struct Segment {
        /// The new tokens are rows `firstRow ..< firstRow + rows` of `q` and `out`.
        public var firstRow, rows: Int
        /// What several sequences have in common, read by all: `nil` or its first `promptLength`
        /// tokens.
        public var prompt: KeyValueBlock?
        public var promptLength: Int
        /// The sequence's own tokens, the new ones already written as the last `rows` of
        /// `ownLength`.
        public var own: KeyValueBlock
        public var ownLength: Int

        public init(
            firstRow: Int, rows: Int, prompt: KeyValueBlock?, promptLength: Int,
            own: KeyValueBlock, ownLength: Int
        ) {
            self.firstRow = firstRow
            self.rows = rows
            self.prompt = prompt
            self.promptLength = promptLength
            self.own = own
            self.ownLength = ownLength
        }
    }

    /// Causal attention of new tokens against caches: prefill, batched decoding, continuations of a
    /// shared beginning. `q`, `out` `(rows, heads · D)`.
    ///
    /// Row `r` of a segment sees the prompt and own tokens `0 ... ownLength − rows + r`. Neighbouring
    /// segments of one prompt read it together.
    public func decode(_ out: some RowMajor, q: some RowMajor, segments: [Segment]) {
        let D = headDimension, group = heads / keyValueHeads
        let (q, out) = (Strided(q), Strided(out))
        ThreadPool.shared.run(tasks: segments.count) { s in
            let segment = segments[s]
            for r in 0..<segment.rows {
                let own = segment.ownLength - segment.rows + r + 1
                let count = segment.promptLength + own
                var p = [Double](repeating: 0, count: count)
                for h in 0..<heads {
                    let x = q[segment.firstRow + r] + h * D, g = h / group
                    func place(_ j: Int) -> (KeyValueBlock, Int) {
                        j < segment.promptLength
                            ? (segment.prompt!, j) : (segment.own, j - segment.promptLength)
                    }
                    var top = -Double.infinity, sum = 0.0
                    for j in 0..<count {
                        let (block, at) = place(j)
                        var product = 0.0
                        for d in 0..<D {
                            product += Double(x[d] * block.keys[(g * D + d) * block.capacity + at])
                        }
                        p[j] = Double(scale) * product
                        top = max(top, p[j])
                    }
                    for j in 0..<count {
                        p[j] = exp(p[j] - top)
                        sum += p[j]
                    }
                    for d in 0..<D {
                        var value = 0.0
                        for j in 0..<count {
                            let (block, at) = place(j)
                            value += p[j] * Double(block.values[(g * block.capacity + at) * D + d])
                        }
                        out[segment.firstRow + r][h * D + d] = Float(value / sum)
                    }
                }
            }
        }
    }
}
