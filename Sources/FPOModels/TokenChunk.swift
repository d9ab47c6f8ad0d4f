import FPONumerics

/// Sequences that are computed together, one after the other in one matrix of rows.
struct TokenChunk {
    let tokens: UnsafePointer<Int32>
    /// Sequence `s` is rows `bounds[s] ..< bounds[s + 1]`, at least one.
    let bounds: [Int]
    /// The position of each sequence's first token.
    let starts: [Int]
    /// The number of each sequence in its batch: its dropout masks follow from it.
    let numbers: [Int]

    var count: Int { bounds[bounds.count - 1] }
    var sequenceCount: Int { numbers.count }

    subscript(s: Int) -> Range<Int> { bounds[s]..<bounds[s + 1] }

    /// One sequence.
    init(_ tokens: UnsafeBufferPointer<Int32>) {
        self.init(
            tokens: tokens.baseAddress!, bounds: [0, tokens.count], starts: [0], numbers: [0])
    }

    init(tokens: UnsafePointer<Int32>, bounds: [Int], starts: [Int], numbers: [Int]) {
        self.tokens = tokens
        self.bounds = bounds
        self.starts = starts
        self.numbers = numbers
    }
}

/// A ragged batch: sequence `i` is `tokens[offsets[i]] ..< tokens[offsets[i + 1]]`.
public struct TokenBatch {
    public let count: Int
    public let offsets: UnsafePointer<Int64>
    public let tokens: UnsafePointer<Int32>

    /// `offsets (count + 1)` rise from 0.
    public init(count: Int, offsets: UnsafePointer<Int64>, tokens: UnsafePointer<Int32>) {
        self.count = count
        self.offsets = offsets
        self.tokens = tokens
    }

    public var tokenCount: Int { count == 0 ? 0 : Int(offsets[count]) }

    public subscript(i: Int) -> Range<Int> { Int(offsets[i])..<Int(offsets[i + 1]) }

    /// Cuts the batch into chunks of whole sequences, of up to `rows` tokens where a sequence is not
    /// longer; `start` is the position of their first tokens. `body` also gets the place in the
    /// batch of the chunk's first token.
    func chunks<E: Error>(
        rows: Int, start: Int = 0, _ body: (TokenChunk, Int) throws(E) -> Void
    ) throws(E) {
        var first = 0
        while first < count {
            let base = self[first].lowerBound
            var bounds = [0], numbers: [Int] = []
            while first < count, numbers.isEmpty || self[first].upperBound - base <= rows {
                if !self[first].isEmpty {
                    bounds.append(self[first].upperBound - base)
                    numbers.append(first)
                }
                first += 1
            }
            guard !numbers.isEmpty else { continue }
            let starts = [Int](repeating: start, count: numbers.count)
            try body(
                TokenChunk(tokens: tokens + base, bounds: bounds, starts: starts, numbers: numbers),
                base)
        }
    }
}

extension Matrix {
    func rows(in range: Range<Int>) -> Matrix { rows(range.lowerBound, count: range.count) }
}
