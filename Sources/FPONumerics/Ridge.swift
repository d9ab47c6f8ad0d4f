/// Ridge regression around the mean: with `μ = mean x`, `ū = mean u` and centred rows `X`,
///
///     β    = (Xᵀ X + κ I)⁻¹ Xᵀ (u − ū)          primal, d × d
///          = Xᵀ (X Xᵀ + κ I)⁻¹ (u − ū)          dual, n × n
///     û(x) = ū + (x − μ) · β
///
/// whichever system is smaller. Hoerl and Kennard, Technometrics 12(1), 1970; the estimator of
/// residual FPO (docs/math/fpo-penalty.md). At least one row and `κ > 0`.
public enum Ridge {
    /// Writes `β` and `μ`, `x.columns` elements each, and returns `ū`.
    public static func fit(
        _ x: Rows<Double>, _ u: UnsafePointer<Double>, kappa: Double,
        coefficients: UnsafeMutablePointer<Double>, mean: UnsafeMutablePointer<Double>
    ) throws(NumericsError) -> Double {
        let (n, d) = (x.count, x.columns)
        let dot = try Double.kernels().dot
        mean.update(repeating: 0, count: d)
        var meanLabel = 0.0
        for i in 0..<n {
            for j in 0..<d { mean[j] += x[i][j] / Double(n) }
            meanLabel += u[i] / Double(n)
        }
        let primal = d <= n
        // Rows of the side whose Gram matrix is smaller: coordinates (d, n) or samples (n, d).
        let centred = try Buffer(d, n, filledWith: 0.0)
        for i in 0..<n {
            for j in 0..<d { centred.base[primal ? j * n + i : i * d + j] = x[i][j] - mean[j] }
        }
        let labels = try Buffer(n, filledWith: 0.0)
        for i in 0..<n { labels.base[i] = u[i] - meanLabel }

        let order = min(n, d), length = max(n, d)
        let rows = Rows(
            base: UnsafePointer(centred.base), count: order, columns: length,
            leadingDimension: length)
        let gram = try Buffer(order, order, filledWith: 0.0)
        try lowerGram(rows, into: gram.base)
        for i in 0..<order { gram.base[i * order + i] += kappa }
        let cholesky = try Cholesky(gram, order: order)
        if primal {
            for j in 0..<d { coefficients[j] = dot(n, rows[j], labels.base) }
            try cholesky.solve(coefficients)
        } else {
            try cholesky.solve(labels.base)
            coefficients.update(repeating: 0, count: d)
            for i in 0..<n {
                for j in 0..<d { coefficients[j] += labels.base[i] * rows[i][j] }
            }
        }
        return meanLabel
    }
}

/// The lower triangle of `V Vᵀ`, into a row-major `(n, n)` matrix.
public func lowerGram(
    _ v: Rows<Double>, into gram: UnsafeMutablePointer<Double>
) throws(NumericsError) {
    let dot = try Double.kernels().dot
    let n = v.count
    ThreadPool.shared.run(items: n, cost: v.columns * n / 2) { rows in
        for i in rows {
            for j in 0...i { gram[i * n + j] = dot(v.columns, v[i], v[j]) }
        }
    }
}
