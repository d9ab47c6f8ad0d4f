import FPOLayers
import FPONumerics

/// Matrices for one computation at a time, in memory that grows when a larger computation comes and
/// is kept for the next: a step allocates nothing, and no page is touched for the first time twice.
struct Workspace: ~Copyable {
    private var memory: Buffer<Float>?
    private var base = UnsafeMutablePointer<Float>(bitPattern: 64)!
    private var capacity = 0
    private var attention: Attention.Workspace?
    private var attentionSize = (tokens: 0, sequences: 0, backward: false)

    /// Hands out matrices front to back; their elements are whatever was there.
    struct Layout {
        fileprivate let base: UnsafeMutablePointer<Float>
        fileprivate(set) var count = 0

        fileprivate init(_ base: UnsafeMutablePointer<Float>) { self.base = base }

        mutating func matrix(_ rows: Int, _ columns: Int) -> Matrix<Float> {
            defer { count += (rows * columns + 15) & ~15 }
            return Matrix(base: base + count, rows: rows, columns: columns)
        }

        mutating func array<Element: BitwiseCopyable>(
            of type: Element.Type, _ count: Int
        ) -> UnsafeMutablePointer<Element> {
            let bytes = count * MemoryLayout<Element>.stride
            let memory = matrix(1, (bytes + 3) / MemoryLayout<Float>.stride).base
            return UnsafeMutableRawPointer(memory).bindMemory(to: type, capacity: count)
        }
    }

    /// What `build` makes of its matrices. It is called twice, the first time to count: it must not
    /// touch an element.
    mutating func layOut<Views>(
        _ build: (inout Layout) -> Views
    ) throws(NumericsError) -> Views {
        var counting = Layout(UnsafeMutablePointer(bitPattern: 64)!)
        _ = build(&counting)
        if capacity < counting.count {
            memory = nil
            capacity = 0
            let larger = try Buffer<Float>(counting.count)
            base = larger.base
            capacity = larger.count
            memory = consume larger
        }
        var layout = Layout(base)
        return build(&layout)
    }

    /// Memory of attention within the sequences of a chunk.
    mutating func attention(
        _ attention: Attention, _ chunk: TokenChunk, backward: Bool
    ) throws(NumericsError) -> Attention.Workspace {
        let size = attentionSize
        if let kept = self.attention, size.tokens >= chunk.count,
            size.sequences >= chunk.sequenceCount, size.backward || !backward
        {
            return kept
        }
        let new = try Attention.Workspace(
            attention, tokens: chunk.count, sequences: chunk.sequenceCount, backward: backward)
        self.attention = new
        attentionSize = (chunk.count, chunk.sequenceCount, backward)
        return new
    }
}
