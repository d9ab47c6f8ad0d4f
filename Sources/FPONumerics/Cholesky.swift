import COpenBLAS

/// The Cholesky factor of a symmetric positive definite matrix: `A = L Lᵀ`.
///
/// LAPACK's `dpotrf` and `dpotrs`, on one thread of OpenBLAS: the same bits whatever the number
/// of processors. LAPACK is column-major, so its upper triangle is the lower one of a row-major
/// matrix.
public struct Cholesky: ~Copyable {
    public let order: Int
    private let factor: Buffer<Double>

    /// Factors the row-major `(order, order)` matrix, of which the lower triangle is read.
    public init(_ matrix: consuming Buffer<Double>, order: Int) throws(NumericsError) {
        try Self.factorize(matrix.base, order)
        self.order = order
        factor = matrix
    }

    private static func factorize(
        _ a: UnsafeMutablePointer<Double>, _ order: Int
    ) throws(NumericsError) {
        _ = BLAS.singleThreaded
        guard var n = Int32(exactly: order) else { throw .memory(bytes: .max) }
        guard n > 0 else { return }
        var leadingDimension = n, info: Int32 = 0
        dpotrf_("U", &n, a, &leadingDimension, &info)
        guard info == 0 else { throw .notPositiveDefinite }
        for i in 0..<order {
            let pivot = a[i * order + i]
            guard pivot > 0, pivot.isFinite else { throw .notPositiveDefinite }
        }
    }

    /// Replaces `count` right-hand sides, one after the other of `order` elements each, by their
    /// solutions.
    public func solve(_ x: UnsafeMutablePointer<Double>, count: Int = 1) throws(NumericsError) {
        guard var columns = Int32(exactly: count) else { throw .memory(bytes: .max) }
        guard order > 0, count > 0 else { return }
        var n = Int32(order), leadingDimension = n, stride = n, info: Int32 = 0
        dpotrs_("U", &n, &columns, factor.base, &leadingDimension, x, &stride, &info)
        for i in 0..<order * count where !x[i].isFinite { throw .notPositiveDefinite }
    }
}

extension Cholesky {
    /// Solves `A X = B` for a symmetric positive definite `A`, of which the lower triangle is
    /// read. Nothing is written to `x`, `(b.count, b.columns)`, when this throws.
    public static func solve(
        _ a: Rows<Double>, _ b: Rows<Double>, into x: UnsafeMutablePointer<Double>,
        leadingDimension: Int
    ) throws(NumericsError) {
        let (n, m) = (b.count, b.columns)
        let matrix = try Buffer<Double>(n, n)
        for i in 0..<n { (matrix.base + i * n).update(from: a[i], count: i + 1) }
        let columns = try Buffer<Double>(m, n)
        for i in 0..<n {
            for j in 0..<m { columns.base[j * n + i] = b[i][j] }
        }
        try Cholesky(matrix, order: n).solve(columns.base, count: m)
        for i in 0..<n {
            for j in 0..<m { x[i * leadingDimension + j] = columns.base[j * n + i] }
        }
    }
}
