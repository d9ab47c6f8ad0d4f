public import FPONumerics

/// `y = w (x − mean) / √(variance + ε) + b` for each row (Ba et al., arXiv:1607.06450).
///
/// `x`, `y` `(m, n)`; `weight`, `bias` `(1, n)`; `statistics (m, 2)` keeps mean and
/// `1 / √(variance + ε)` for `backward`.
public enum LayerNorm {
    /// `x ← x + residual` first where there is one; then `y`. `y` may be `x`.
    public static func forward(
        _ y: Matrix<Float>, x: Matrix<Float>, adding residual: Matrix<Float>? = nil,
        weight: Matrix<Float>, bias: Matrix<Float>?, epsilon: Float,
        statistics: Matrix<Float>? = nil
    ) {
        let n = x.columns
        ThreadPool.shared.run(items: x.rows, cost: 6 * n) { rows in
            for i in rows {
                let row = x.base + i * n
                if let residual { for j in 0..<n { row[j] += residual[i, j] } }
                var sum: Float = 0, square: Float = 0
                for j in 0..<n { sum += row[j] }
                let mean = sum / Float(n)
                for j in 0..<n { square += (row[j] - mean) * (row[j] - mean) }
                let inverse = 1 / (square / Float(n) + epsilon).squareRoot()
                if let statistics { (statistics[i, 0], statistics[i, 1]) = (mean, inverse) }
                for j in 0..<n {
                    y[i, j] = (row[j] - mean) * inverse * weight.base[j] + (bias?.base[j] ?? 0)
                }
            }
        }
    }

    /// With `x̂ = (x − mean) s`: `dx += s (w dy − mean(w dy) − x̂ mean(w dy x̂))`, `dw += Σ dy x̂`,
    /// `db += Σ dy`.
    public static func backward(
        dx: Matrix<Float>?, dWeight: Matrix<Float>?, dBias: Matrix<Float>?, dy: Matrix<Float>,
        x: Matrix<Float>, weight: Matrix<Float>, statistics: Matrix<Float>
    ) {
        let n = x.columns
        for i in 0..<x.rows {
            let (mean, s) = (statistics[i, 0], statistics[i, 1])
            var a: Float = 0, b: Float = 0
            for j in 0..<n {
                let g = dy[i, j] * weight.base[j], centred = (x[i, j] - mean) * s
                a += g
                b += g * centred
                dWeight?.base[j] += dy[i, j] * centred
                dBias?.base[j] += dy[i, j]
            }
            guard let dx else { continue }
            (a, b) = (a / Float(n), b / Float(n))
            for j in 0..<n {
                let centred = (x[i, j] - mean) * s
                dx[i, j] += s * (dy[i, j] * weight.base[j] - a - centred * b)
            }
        }
    }
}
