/// Texts as token ids, one after the other.
public struct TextBatch {
    public let tokens: UnsafePointer<Int32>
    /// Token types, as `tokens`; `nil` stands for zeros.
    public let types: UnsafePointer<Int32>?
    /// Text `i` is tokens `offsets[i] ..< offsets[i + 1]`.
    public let offsets: [Int]

    public init(tokens: UnsafePointer<Int32>, types: UnsafePointer<Int32>?, offsets: [Int]) {
        self.tokens = tokens
        self.types = types
        self.offsets = offsets
    }

    public var count: Int { offsets.count - 1 }
    public var tokenCount: Int { offsets.last! }
    var longest: Int { zip(offsets, offsets.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) } }

    subscript(_ text: Int) -> Range<Int> { offsets[text]..<offsets[text + 1] }
}
