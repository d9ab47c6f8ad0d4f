public import FPONumerics

/// `y = silu(gate) up` with `silu(x) = x σ(x)` (Shazeer, arXiv:2002.05202).
///
/// `gate` and `up` `(m, n)` may be the halves of one `(m, 2 n)` matrix: `gateUp.columns(0..<n)`.
public enum SwiGLU {
    public static func forward(_ y: some RowMajor, gate: some RowMajor, up: some RowMajor) {
        check(y, gate)
        check(y, up)
        let (m, n) = (y.rows, y.columns), kernel = transformerKernels.layers.swiglu
        let (y, gate, up) = (Strided(y), Strided(gate), Strided(up))
        ThreadPool.shared.run(items: m, cost: 4 * n) { rows in
            for i in rows { kernel(n, gate[i], up[i], y[i]) }
        }
    }

    /// `dgate += dy up silu′(gate)`, `dup += dy silu(gate)`.
    public static func backward(
        dGate: some RowMajor, dUp: some RowMajor, dy: some RowMajor, gate: some RowMajor,
        up: some RowMajor
    ) {
        check(dy, gate)
        check(dy, up)
        check(dy, dGate)
        check(dy, dUp)
        let (m, n) = (dy.rows, dy.columns), kernel = transformerKernels.layers.swigluBackward
        let (dy, gate, up) = (Strided(dy), Strided(gate), Strided(up))
        let (dGate, dUp) = (Strided(dGate), Strided(dUp))
        ThreadPool.shared.run(items: m, cost: 6 * n) { rows in
            for i in rows { kernel(n, dy[i], gate[i], up[i], dGate[i], dUp[i]) }
        }
    }

    private static func check(_ a: some RowMajor, _ b: some RowMajor) {
        precondition(
            a.rows == b.rows && a.columns == b.columns,
            "SwiGLU: (\(b.rows), \(b.columns)) beside (\(a.rows), \(a.columns))")
    }
}
