import CShims
import FPOKernelTypes

/// Products of matrices that change from call to call. For weights that stay, see
/// ``PackedMatrix``; the elements are summed in the same order.
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
        guard m > 0, n > 0 else { return }
        let kernels = transformerKernels
        let left = TransformerKernels.Factor(
            base: a.base, row: transposeA ? 1 : a.leadingDimension,
            depth: transposeA ? a.leadingDimension : 1)
        let right = TransformerKernels.Factor(
            base: b.base, row: transposeB ? b.leadingDimension : 1,
            depth: transposeB ? 1 : b.leadingDimension)
        let (out, ldc) = (c.base, c.leadingDimension)
        // By rows where there are enough of them: each part reads all of B.
        let block = transposeA ? 96 : 192, threads = ThreadPool.shared.count
        let panels = (n + kernels.panelWidth - 1) / kernels.panelWidth
        let parts =
            m >= 2 * threads * block
            ? (m + block - 1) / block : panels >= 8 ? 1 : min((m + 47) / 48, 8)
        let size = (m + parts - 1) / parts
        let work = m * n * max(k, 1)
        func product(_ rows: Range<Int>, _ columns: Range<Int>) {
            kernels.product(
                .init(rows: rows, columns: columns), k, alpha, left, right, out, ldc, adding,
                fpo_scratch())
        }
        if work < 65_536 { return product(0..<m, 0..<n) }
        if parts == 1 {
            return split(0..<n, panel: kernels.panelWidth, rows: m, cost: k) { product(0..<m, $0) }
        }
        ThreadPool.shared.run(tasks: (m + size - 1) / size) { task in
            product(task * size..<min((task + 1) * size, m), 0..<n)
        }
    }
}

/// The kernels of a process that has got as far as owning matrices.
public let transformerKernels: TransformerKernels = {
    guard let table = CPU.transformer else { preconditionFailure("x86-64-v3 is needed") }
    return table
}()
