import FPONumerics

/// Memory for the activations of one computation at a time, taken like a stack and kept for the
/// next computation. It grows by pieces, so that what was taken never moves.
final class ActivationStack: @unchecked Sendable {
    /// A state to return to.
    struct Mark { fileprivate var piece, used: Int }

    private final class Piece {
        let buffer: Buffer<Float>
        init(_ count: Int) throws(NumericsError) { buffer = try Buffer(count) }
    }

    private var pieces: [Piece] = []
    private var top = Mark(piece: 0, used: 0)

    /// 16 MiB: the least that is asked of the system at a time.
    private static let leastCount = 1 << 22

    /// A matrix whose elements are whatever was there.
    func matrix(_ rows: Int, _ columns: Int) throws(NumericsError) -> Matrix<Float> {
        let count = (elements((rows, columns)) + 15) & ~15
        while top.piece < pieces.count {
            let buffer = pieces[top.piece].buffer.count
            if count <= buffer - top.used { break }
            top = Mark(piece: top.piece + 1, used: 0)
        }
        if top.piece == pieces.count {
            pieces.append(try Piece(max(count, Self.leastCount)))
        }
        defer { top.used += count }
        return Matrix(base: pieces[top.piece].buffer.base + top.used, rows: rows, columns: columns)
    }

    func zeros(_ rows: Int, _ columns: Int) throws(NumericsError) -> Matrix<Float> {
        let matrix = try matrix(rows, columns)
        matrix.fill(0)
        return matrix
    }

    var mark: Mark { top }

    /// Gives back what was taken since `mark`.
    func release(to mark: Mark) { top = mark }

    func removeAll() { top = Mark(piece: 0, used: 0) }
}
