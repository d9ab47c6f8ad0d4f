public import FPONumerics

/// Rows of a caller's array, `stride` elements apart.
public struct Rows<S: Scalar> {
    public let base: UnsafePointer<S>
    public let count, columns, stride: Int

    public init(_ base: UnsafePointer<S>, count: Int, columns: Int, stride: Int) {
        self.base = base
        self.count = count
        self.columns = columns
        self.stride = stride
    }

    /// The rows of `matrix`, all of them.
    public init(_ matrix: Matrix<S>) {
        self.init(
            matrix.base, count: matrix.rows, columns: matrix.columns, stride: matrix.columns)
    }

    subscript(i: Int) -> UnsafePointer<S> { base + i * stride }

    /// Rows `range`, packed into a matrix.
    func matrix(_ range: Range<Int>, arena: inout Arena<S>) -> Matrix<S> {
        let packed = arena.matrix(range.count, columns)
        for i in 0..<range.count {
            packed.row(i).base.update(from: self[range.lowerBound + i], count: columns)
        }
        return packed
    }
}

/// Where rows go, `stride` elements apart.
public struct MutableRows<S: Scalar> {
    public let base: UnsafeMutablePointer<S>
    public let columns, stride: Int

    public init(_ base: UnsafeMutablePointer<S>, columns: Int, stride: Int) {
        self.base = base
        self.columns = columns
        self.stride = stride
    }

    public init(_ matrix: Matrix<S>) {
        self.init(matrix.base, columns: matrix.columns, stride: matrix.columns)
    }

    subscript(i: Int) -> Matrix<S> {
        Matrix(base: base + i * stride, rows: 1, columns: columns)
    }
}
