/// Ridge regression around the mean: with `μ = mean x`, `ū = mean u` and centred rows `X`,
///
///     β    = (Xᵀ X + κ I)⁻¹ Xᵀ (u − ū)          primal, d × d
///          = Xᵀ (X Xᵀ + κ I)⁻¹ (u − ū)          dual, n × n
///     û(x) = ū + (x − μ) · β
///
/// whichever system is smaller. Hoerl and Kennard, Technometrics 12(1), 1970; the estimator of
/// residual FPO (docs/math/fpo-penalty.md). At least one row and `κ > 0`.
public struct Ridge: ~Copyable {
    /// `β` and `μ`, of as many elements as `x` has columns.
    public let coefficients, mean: Buffer<Double>
    /// `ū`.
    public let meanLabel: Double

    public init(
        _ x: Rows<Double>, _ u: UnsafePointer<Double>, kappa: Double
    ) throws(NumericsError) {
        let (n, d) = (x.count, x.columns)
        let dot = try Double.kernels().dot
        let mean = try Buffer(d, filledWith: 0.0), beta = try Buffer(d, filledWith: 0.0)
        let labels = try Buffer(n, filledWith: 0.0)
        var meanLabel = 0.0
        for i in 0..<n {
            for j in 0..<d { mean.base[j] += x[i][j] / Double(n) }
            meanLabel += u[i] / Double(n)
        }
        for i in 0..<n { labels.base[i] = u[i] - meanLabel }

        // The side with fewer vectors: coordinates (d, n) or samples (n, d).
        let primal = d <= n
        let (order, length) = primal ? (d, n) : (n, d)
        let centred = try Buffer(order, length, filledWith: 0.0)
        for i in 0..<n {
            for j in 0..<d { centred.base[primal ? j * n + i : i * d + j] = x[i][j] - mean.base[j] }
        }
        let rows = Rows(
            base: UnsafePointer(centred.base), count: order, columns: length,
            leadingDimension: length)
        let gram = try Buffer(order, order, filledWith: 0.0)
        try lowerGram(rows, into: gram.base)
        for i in 0..<order { gram.base[i * order + i] += kappa }
        let cholesky = try Cholesky(gram, order: order)
        if primal {
            for j in 0..<d { beta.base[j] = dot(n, rows[j], labels.base) }
            try cholesky.solve(beta.base)
        } else {
            try cholesky.solve(labels.base)
            for i in 0..<n { addProduct(d, labels.base[i], rows[i], to: beta.base) }
        }
        self.coefficients = beta
        self.mean = mean
        self.meanLabel = meanLabel
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
