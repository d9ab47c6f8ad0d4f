import COpenBLAS

/// Products of all rows, or of all columns, of a matrix `V (n, p)` with each other.
///
/// The lower triangle is written, in square tiles of a fixed size: each is a task of the pool, and
/// one call of BLAS on one thread. The same bits for any number of threads.
public enum Gram {
    /// `V Vᵀ`, row-major `(n, n)`.
    public static func ofRows(
        _ v: Rows<Double>, into gram: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        try fill(gram, order: v.count, v, step: v.leadingDimension, "T", "N", length: v.columns)
    }

    /// `Vᵀ V`, row-major `(p, p)`.
    public static func ofColumns(
        _ v: Rows<Double>, into gram: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        try fill(gram, order: v.columns, v, step: 1, "N", "T", length: v.count)
    }

    private static let tile = 64

    /// `step` elements lie between the vectors, each of `length`. BLAS reads the rows of `V` as
    /// columns, and the lower triangle of `gram` as the upper one.
    private static func fill(
        _ gram: UnsafeMutablePointer<Double>, order: Int, _ v: Rows<Double>, step: Int,
        _ left: String, _ right: String, length: Int
    ) throws(NumericsError) {
        _ = BLAS.singleThreaded
        guard let k = Int32(exactly: length), let ldc = Int32(exactly: order),
            let ldv = Int32(exactly: v.count > 1 ? max(v.leadingDimension, 1) : max(v.columns, 1))
        else { throw .memory(bytes: .max) }
        let tiles = (order + tile - 1) / tile
        ThreadPool.shared.run(tasks: tiles * tiles) { task in
            let (i, j) = (task / tiles * tile, task % tiles * tile)
            guard j <= i else { return }
            let out = gram + i * order + j
            var (k, ldv, ldc, one, zero) = (k, ldv, ldc, 1.0, 0.0)
            var rows = Int32(min(tile, order - i)), columns = Int32(min(tile, order - j))
            if i == j {
                dsyrk_("U", left, &rows, &k, &one, v.base + i * step, &ldv, &zero, out, &ldc)
            } else {
                dgemm_(
                    left, right, &columns, &rows, &k, &one, v.base + j * step, &ldv,
                    v.base + i * step, &ldv, &zero, out, &ldc)
            }
        }
    }
}
