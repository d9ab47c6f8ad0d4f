import FPONumerics

/// Gao's curves of the gold score against `d = √KL`, fitted by least squares.
///
///     best of n   R = d (α − β d)        peak at d = α/(2β), R = α²/(4β)
///     RL          R = d (α − β log d)    peak at d = e^{α/β − 1}, R = β d
///
/// Gao, Schulman and Hilton, arXiv:2210.10760, §3. The peak is an extrapolation where it lies
/// beyond the data.
public enum Overoptimization: Int, Sendable {
    case bestOfN, reinforcement

    public struct Fit: Sendable {
        public var alpha = 0.0, beta = 0.0
        /// Standard errors; NaN with two points.
        public var alphaError = 0.0, betaError = 0.0
    }

    private func regressor(_ d: Double) -> Double {
        switch self {
        case .bestOfN: -d * d
        case .reinforcement: d > 0 ? -d * Double.log(d) : 0
        }
    }

    /// Throws where the points do not determine both numbers.
    public func fit(
        count n: Int, distance: UnsafePointer<Double>, gold: UnsafePointer<Double>
    ) throws(NumericsError) -> Fit {
        // Gram–Schmidt on the columns d and f(d): no normal equations.
        var (dd, df, dy) = (0.0, 0.0, 0.0)
        for i in 0..<n {
            dd += distance[i] * distance[i]
            df += distance[i] * regressor(distance[i])
            dy += distance[i] * gold[i]
        }
        guard dd > 0 else { throw .notPositiveDefinite }
        let shear = df / dd
        var (rr, ry, ff) = (0.0, 0.0, 0.0)
        for i in 0..<n {
            let f = regressor(distance[i]), rest = f - shear * distance[i]
            rr += rest * rest
            ry += rest * gold[i]
            ff += f * f
        }
        guard rr > 1e-20 * ff else { throw .notPositiveDefinite }
        var fit = Fit()
        fit.beta = ry / rr
        fit.alpha = dy / dd - shear * fit.beta
        var squares = 0.0
        for i in 0..<n {
            let e = gold[i] - fit.alpha * distance[i] - fit.beta * regressor(distance[i])
            squares += e * e
        }
        let variance = n > 2 ? squares / Double(n - 2) : .nan
        fit.betaError = (variance / rr).squareRoot()
        fit.alphaError = (variance * (1 / dd + shear * shear / rr)).squareRoot()
        return fit
    }
}
