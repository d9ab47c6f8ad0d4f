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
        let mean = try Buffer<Double>(d), beta = try Buffer<Double>(d)
        let labels = try Buffer<Double>(n)
        var meanLabel = 0.0
        for i in 0..<n {
            for j in 0..<d { mean.base[j] += x[i][j] / Double(n) }
            meanLabel += u[i] / Double(n)
        }
        for i in 0..<n { labels.base[i] = u[i] - meanLabel }

        let centred = try Buffer<Double>(n, d)
        for i in 0..<n {
            for j in 0..<d { centred.base[i * d + j] = x[i][j] - mean.base[j] }
        }
        let rows = Rows(
            base: UnsafePointer(centred.base), count: n, columns: d, leadingDimension: d)
        let order = min(n, d)
        let gram = try Buffer<Double>(order, order)
        try d <= n ? Gram.ofColumns(rows, into: gram.base) : Gram.ofRows(rows, into: gram.base)
        for i in 0..<order { gram.base[i * order + i] += kappa }
        let cholesky = try Cholesky(gram, order: order)
        if d > n { try cholesky.solve(labels.base) }
        for i in 0..<n { addProduct(d, labels.base[i], rows[i], to: beta.base) }
        if d <= n { try cholesky.solve(beta.base) }
        self.coefficients = beta
        self.mean = mean
        self.meanLabel = meanLabel
    }
}
