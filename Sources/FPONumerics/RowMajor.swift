/// A mutable view of `rows × columns` floats, with `leadingDimension` elements between the starts
/// of rows: a ``Matrix`` or some columns of one. It owns nothing.
public protocol RowMajor {
    var base: UnsafeMutablePointer<Float> { get }
    var rows: Int { get }
    var columns: Int { get }
    var leadingDimension: Int { get }
}

extension Matrix: RowMajor where S == Float {
    public var leadingDimension: Int { columns }

    /// Some neighbouring columns.
    public func columns(_ range: Range<Int>) -> MatrixBlock {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= columns,
            "Matrix: columns \(range) of \(columns)")
        return MatrixBlock(
            base: base + range.lowerBound, rows: rows, columns: range.count,
            leadingDimension: columns)
    }
}

/// A view of some neighbouring columns of a matrix.
public struct MatrixBlock: RowMajor {
    public let base: UnsafeMutablePointer<Float>
    public let rows, columns, leadingDimension: Int

    public init(
        base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, leadingDimension: Int
    ) {
        self.base = base
        self.rows = rows
        self.columns = columns
        self.leadingDimension = leadingDimension
    }
}
