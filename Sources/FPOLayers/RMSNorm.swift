public import FPONumerics

/// `y = w x / √(mean(x²) + ε)` for each row (Zhang and Sennrich, arXiv:1910.07467).
///
/// `x`, `y` `(m, n)`; `weight (1, n)`; `scale (m, 1)` keeps `1 / √(mean(x²) + ε)` for `backward`.
public enum RMSNorm {
    /// `x ← x + residual` first where there is one; then `y`.
    public static func forward(
        _ y: Matrix<Float>, x: Matrix<Float>, adding residual: Matrix<Float>? = nil,
        weight: Matrix<Float>, epsilon: Float, scale: Matrix<Float>? = nil
    ) {
        let n = x.columns, kernels = transformerKernels.layers
        check(y, like: x)
        if let residual { check(residual, like: x) }
        precondition(weight.count == n, "RMSNorm: weight of \(weight.count) for \(n) columns")
        ThreadPool.shared.run(items: x.rows, cost: n) { rows in
            for i in rows {
                let row = x.base + i * n
                if let residual { kernels.add(n, 1, residual.base + i * n, row) }
                let s = kernels.rms(n, epsilon, row, weight.base, y.base + i * n)
                scale?.base[i] = s
            }
        }
    }

    /// `dx += s (w dy − x s² mean(w dy x))`, `dw += Σ dy x s`, with `s` the scale.
    public static func backward(
        dx: Matrix<Float>?, dWeight: Matrix<Float>?, dy: Matrix<Float>, x: Matrix<Float>,
        weight: Matrix<Float>, scale: Matrix<Float>
    ) {
        let n = x.columns, kernels = transformerKernels.layers
        check(dy, like: x)
        if let dx {
            check(dx, like: x)
            ThreadPool.shared.run(items: x.rows, cost: 2 * n) { rows in
                for i in rows {
                    let at = i * n
                    kernels.rmsBackward(
                        n, scale.base[i], x.base + at, weight.base, dy.base + at, dx.base + at)
                }
            }
        }
        if let dWeight {
            columns(n, rows: x.rows) { range in
                for i in 0..<x.rows {
                    let at = i * n + range.lowerBound
                    kernels.addCentredProduct(
                        range.count, 0, scale.base[i], x.base + at, dy.base + at,
                        dWeight.base + range.lowerBound)
                }
            }
        }
    }
}

func check(_ view: Matrix<Float>, like other: Matrix<Float>) {
    precondition(
        view.rows == other.rows && view.columns == other.columns,
        "(\(view.rows), \(view.columns)) where (\(other.rows), \(other.columns))")
}

/// Calls `body` on ranges of `n` columns for a sum over rows.
func columns(_ n: Int, rows: Int, _ body: (Range<Int>) -> Void) {
    let parts = min(ThreadPool.shared.count, n / 64, rows * n / 65_536 + 1)
    let size = (n / max(parts, 1) + 63) / 64 * 64
    guard n > 0 else { return }
    ThreadPool.shared.run(tasks: (n - 1) / max(size, 64) + 1) { task in
        body(task * max(size, 64)..<min((task + 1) * max(size, 64), n))
    }
}
