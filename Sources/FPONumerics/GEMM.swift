/// Products of matrices that change from call to call. For weights that stay, see
/// ``PackedMatrix``.
public enum GEMM {
    /// `C ← α op(A) op(B)`, or `C ← C + α op(A) op(B)` with the product rounded before it is added.
    ///
    /// - Parameters:
    ///   - c: `(m, n)`.
    ///   - a: `(m, k)`, or `(k, m)` where `transposeA`.
    ///   - b: `(k, n)`, or `(n, k)` where `transposeB`.
    public static func multiply(
        _ c: some RowMajor, _ a: some RowMajor, _ b: some RowMajor, transposeA: Bool = false,
        transposeB: Bool = false, alpha: Float = 1, adding: Bool = false
    ) {
        let (m, k) = transposeA ? (a.columns, a.rows) : (a.rows, a.columns)
        let (k2, n) = transposeB ? (b.columns, b.rows) : (b.rows, b.columns)
        precondition(
            k == k2 && c.rows == m && c.columns == n,
            "GEMM: op(A) (\(m), \(k)), op(B) (\(k2), \(n)), C (\(c.rows), \(c.columns))")
        let (A, B, C) = (a.base, b.base, c.base)
        let (ldc, lda, ldb) = (c.leadingDimension, a.leadingDimension, b.leadingDimension)
        ThreadPool.shared.run(items: m, cost: n * k) { range in
            for i in range {
                for j in 0..<n {
                    var sum: Float = 0
                    for l in 0..<k {
                        let x = transposeA ? A[l * lda + i] : A[i * lda + l]
                        let y = transposeB ? B[j * ldb + l] : B[l * ldb + j]
                        sum = sum.addingProduct(x, y)
                    }
                    C[i * ldc + j] = adding ? C[i * ldc + j] + alpha * sum : alpha * sum
                }
            }
        }
    }
}
