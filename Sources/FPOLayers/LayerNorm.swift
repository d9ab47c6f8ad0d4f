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
        let n = x.columns, kernels = transformerKernels.layers
        check(y, like: x)
        if let residual { check(residual, like: x) }
        precondition(
            weight.count == n && (bias?.count ?? n) == n,
            "LayerNorm: weight of \(weight.count) for \(n) columns")
        ThreadPool.shared.run(items: x.rows, cost: 2 * n) { rows in
            for i in rows {
                let row = x.base + i * n
                if let residual { kernels.add(n, 1, residual.base + i * n, row) }
                let (mean, s) = kernels.layerNorm(
                    n, epsilon, row, weight.base, bias.map { UnsafePointer($0.base) },
                    y.base + i * n)
                if let statistics { (statistics[i, 0], statistics[i, 1]) = (mean, s) }
            }
        }
    }

    /// With `x̂ = (x − mean) s`: `dx += s (w dy − mean(w dy) − x̂ mean(w dy x̂))`, `dw += Σ dy x̂`,
    /// `db += Σ dy`.
    public static func backward(
        dx: Matrix<Float>?, dWeight: Matrix<Float>?, dBias: Matrix<Float>?, dy: Matrix<Float>,
        x: Matrix<Float>, weight: Matrix<Float>, statistics: Matrix<Float>
    ) {
        let n = x.columns, kernels = transformerKernels.layers
        check(dy, like: x)
        if let dx {
            check(dx, like: x)
            ThreadPool.shared.run(items: x.rows, cost: 3 * n) { rows in
                for i in rows {
                    let at = i * n
                    kernels.layerNormBackward(
                        n, statistics[i, 0], statistics[i, 1], x.base + at, weight.base,
                        dy.base + at, dx.base + at)
                }
            }
        }
        guard dWeight != nil || dBias != nil else { return }
        columns(n, rows: x.rows) { range in
            for i in 0..<x.rows {
                let at = i * n + range.lowerBound
                if let dWeight {
                    kernels.addCentredProduct(
                        range.count, statistics[i, 0], statistics[i, 1], x.base + at, dy.base + at,
                        dWeight.base + range.lowerBound)
                }
                if let dBias {
                    kernels.add(range.count, 1, dy.base + at, dBias.base + range.lowerBound)
                }
            }
        }
    }
}
