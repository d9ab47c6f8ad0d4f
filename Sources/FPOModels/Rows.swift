public import FPONumerics

extension Rows where Element: Scalar {
    /// All rows of a matrix.
    public init(_ matrix: Matrix<Element>) {
        self.init(
            base: matrix.base, count: matrix.rows, columns: matrix.columns,
            leadingDimension: matrix.columns)
    }

    /// The rows of `range`, packed into a matrix.
    func matrix(_ range: Range<Int>, arena: inout Arena<Element>) -> Matrix<Element> {
        let packed = arena.matrix(range.count, columns)
        for (row, i) in range.enumerated() {
            packed.row(row).base.update(from: self[i], count: columns)
        }
        return packed
    }
}

/// Where rows go, `leadingDimension` elements apart.
public struct MutableRows<Element: Scalar> {
    public let base: UnsafeMutablePointer<Element>
    public let columns, leadingDimension: Int

    public init(base: UnsafeMutablePointer<Element>, columns: Int, leadingDimension: Int) {
        self.base = base
        self.columns = columns
        self.leadingDimension = leadingDimension
    }

    /// All rows of a matrix.
    public init(_ matrix: Matrix<Element>) {
        self.init(base: matrix.base, columns: matrix.columns, leadingDimension: matrix.columns)
    }

    subscript(i: Int) -> Matrix<Element> {
        Matrix(base: base + i * leadingDimension, rows: 1, columns: columns)
    }
}
