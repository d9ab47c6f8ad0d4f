import CShims
import FPOKernelTypes
public import FPONumerics

/// Keys and values of consecutive tokens in one attention layer, in the order that ``Attention``
/// reads them: keys `(keyValueHeads, D, capacity)`, values `(keyValueHeads, capacity, D)`. A view:
/// the memory is the caller's, zeroed, `elements(...)` floats.
public struct KeyValueBlock: @unchecked Sendable {
    public let keys, values: UnsafeMutablePointer<Float>
    public let keyValueHeads, headDimension, capacity: Int

    /// Floats for at least `tokens` tokens.
    public static func elements(tokens: Int, keyValueHeads: Int, headDimension: Int) -> Int {
        // Panels read a little past the end.
        2 * keyValueHeads * headDimension * padded(tokens) + 32
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

    /// An odd multiple of the vector, so that columns spread over the cache.
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
        let kernel = transformerKernels.attention.decode
        var work = 0
        for segment in segments {
            let keys = segment.promptLength + segment.ownLength
            precondition(
                segment.rows > 0 && segment.firstRow >= 0
                    && segment.firstRow + segment.rows <= q.rows
                    && segment.rows <= segment.ownLength
                    && segment.ownLength <= segment.own.capacity
                    && segment.promptLength >= 0
                    && segment.promptLength <= (segment.prompt?.capacity ?? 0)
                    && keys <= AttentionKernels.maximumKeys,
                "Attention: a segment of \(segment.rows) rows and \(keys) keys")
            work += segment.rows * keys
        }
        check(out, q)
        let (q, out) = (Strided(q), Strided(out))
        let runs = self.runs(segments)
        func attend(_ run: Range<Int>, _ g: Int, _ rows: Range<Int>) {
            let first = segments[run.lowerBound]
            // All queries of a run, or some rows of a lone segment.
            let count = first.rows == 1 ? run.count * group : rows.count * group
            withUnsafeTemporaryAllocation(of: AttentionKernels.Query.self, capacity: count) {
                list in
                var n = 0
                for s in run {
                    let segment = segments[s], offset = g * D * segment.own.capacity
                    let cache = AttentionKernels.Cache(
                        keys: segment.own.keys + offset, values: segment.own.values + offset,
                        capacity: segment.own.capacity)
                    for r in first.rows == 1 ? 0..<1 : rows {
                        for h in g * group..<(g + 1) * group {
                            let at = segment.firstRow + r
                            list.initializeElement(
                                at: n,
                                to: .init(
                                    q: q[at] + h * D, out: out[at] + h * D, cache: cache,
                                    own: segment.ownLength - segment.rows + r + 1))
                            n += 1
                        }
                    }
                }
                let prompt = first.promptLength > 0 ? first.prompt : nil
                let cache = prompt.map {
                    AttentionKernels.Cache(
                        keys: $0.keys + g * D * $0.capacity,
                        values: $0.values + g * D * $0.capacity, capacity: $0.capacity)
                }
                kernel(D, scale, cache, first.promptLength, n, list.baseAddress!, fpo_scratch())
            }
        }
        let tasks = runs.count * keyValueHeads
        func task(_ t: Int) {
            let (run, rows) = runs[t / keyValueHeads]
            attend(run, t % keyValueHeads, rows)
        }
        if work * heads * D < 100_000 {
            for t in 0..<tasks { task(t) }
        } else {
            ThreadPool.shared.run(tasks: tasks, task)
        }
    }

    /// Tasks: neighbouring segments of one row that share a prompt, some at a time; or some rows of
    /// one segment.
    private func runs(_ segments: [Segment]) -> [(Range<Int>, rows: Range<Int>)] {
        let group = heads / keyValueHeads
        let together = max(1, 24 / group)
        var runs: [(Range<Int>, rows: Range<Int>)] = []
        var s = 0
        while s < segments.count {
            let first = segments[s]
            if first.rows > 1 {
                for r in stride(from: 0, to: first.rows, by: 16) {
                    runs.append((s..<s + 1, r..<min(r + 16, first.rows)))
                }
                s += 1
                continue
            }
            var end = s + 1
            while end < segments.count && end - s < together && segments[end].rows == 1
                && segments[end].prompt?.keys == first.prompt?.keys
                && segments[end].promptLength == first.promptLength
            { end += 1 }
            runs.append((s..<end, 0..<1))
            s = end
        }
        return runs
    }

    private func check(_ out: some RowMajor, _ q: some RowMajor) {
        precondition(
            q.columns == heads * headDimension && out.columns == q.columns && out.rows == q.rows,
            "Attention: q (\(q.rows), \(q.columns)), out (\(out.rows), \(out.columns))")
    }
}
