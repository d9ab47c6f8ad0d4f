public import FPONumerics

/// `y = silu(gate) up` with `silu(x) = x σ(x)` (Shazeer, arXiv:2002.05202).
///
/// `gate` and `up` `(m, n)` may be the halves of one `(m, 2 n)` matrix: `gateUp.columns(0..<n)`.
public enum SwiGLU {
    public static func forward(_ y: some RowMajor, gate: some RowMajor, up: some RowMajor) {
        let n = y.columns
        for i in 0..<y.rows {
            let g = gate.base + i * gate.leadingDimension, u = up.base + i * up.leadingDimension
            let out = y.base + i * y.leadingDimension
            for j in 0..<n { out[j] = g[j] * sigmoid(g[j]) * u[j] }
        }
    }

    /// `dgate += dy up silu′(gate)`, `dup += dy silu(gate)`.
    public static func backward(
        dGate: some RowMajor, dUp: some RowMajor, dy: some RowMajor, gate: some RowMajor,
        up: some RowMajor
    ) {
        let n = dy.columns
        for i in 0..<dy.rows {
            let g = gate.base + i * gate.leadingDimension, u = up.base + i * up.leadingDimension
            let dg = dGate.base + i * dGate.leadingDimension
            let du = dUp.base + i * dUp.leadingDimension
            let d = dy.base + i * dy.leadingDimension
            for j in 0..<n {
                let s = sigmoid(g[j])
                dg[j] += d[j] * u[j] * s * (1 + g[j] * (1 - s))
                du[j] += d[j] * g[j] * s
            }
        }
    }
}
