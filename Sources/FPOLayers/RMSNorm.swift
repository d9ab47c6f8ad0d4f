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
        let n = x.columns
        ThreadPool.shared.run(items: x.rows, cost: 4 * n) { rows in
            for i in rows {
                let row = x.base + i * n
                if let residual { for j in 0..<n { row[j] += residual[i, j] } }
                let inverse = 1 / (dot(n, row, row) / Float(n) + epsilon).squareRoot()
                scale?.base[i] = inverse
                for j in 0..<n { y[i, j] = row[j] * inverse * weight.base[j] }
            }
        }
    }

    /// `dx += s (w dy − x s² mean(w dy x))`, `dw += Σ dy x s`, with `s` the scale.
    public static func backward(
        dx: Matrix<Float>?, dWeight: Matrix<Float>?, dy: Matrix<Float>, x: Matrix<Float>,
        weight: Matrix<Float>, scale: Matrix<Float>
    ) {
        let n = x.columns
        if let dx {
            ThreadPool.shared.run(items: x.rows, cost: 8 * n) { rows in
                for i in rows {
                    let s = scale.base[i]
                    var mean: Float = 0
                    for j in 0..<n { mean += dy[i, j] * weight.base[j] * x[i, j] }
                    let factor = mean / Float(n) * s * s
                    for j in 0..<n {
                        dx[i, j] += s * (dy[i, j] * weight.base[j] - x[i, j] * factor)
                    }
                }
            }
        }
        if let dWeight {
            for i in 0..<x.rows {
                for j in 0..<n { dWeight.base[j] += dy[i, j] * x[i, j] * scale.base[i] }
            }
        }
    }
}
