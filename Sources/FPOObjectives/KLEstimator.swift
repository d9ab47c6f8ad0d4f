import FPONumerics

/// Estimators of the divergence `KL(π ‖ π_ref)` from samples `y ∼ π`, of one log-ratio
/// `a = log π(y) − log π_ref(y)`:
///
///     k1 = a      k2 = a²/2      k3 = e^{−a} − 1 + a
///
/// All of a token, or of a whole response. k1 and k3 are unbiased; k2 is not; k2 and k3 are never
/// negative. What they do depends on where they stand:
///
/// - *in the reward*, detached, `r − β k1` has the gradient of `E r − β KL` exactly; k2 and k3
///   have that of another penalty;
/// - *in the loss*, differentiated through the sampled token, the expected slope of k1 is 0
///   (useless), that of k2 is the gradient of `KL(π ‖ π_ref)`, and that of k3 the gradient of the
///   *forward* `KL(π_ref ‖ π)`, not of the divergence whose value it estimates.
///
/// `k3Plus` is the value of k3 with the slope of k2. Schulman, *Approximating KL divergence*, 2020;
/// what is shown here in the enumerable world is also in Tang and Munos, arXiv:2506.09477.
public enum KLEstimator: Int, Sendable {
    case k1, k2, k3, k3Plus

    /// The estimate and its derivative in `log π`. Beyond `limit` the estimate is the limit, and
    /// the derivative 0: k3 has no bound where `π_ref ≫ π`.
    public func callAsFunction(_ a: Double, limit: Double = .infinity) -> (
        value: Double, derivative: Double
    ) {
        let value: Double, derivative: Double
        switch self {
        case .k1: (value, derivative) = (a, 1)
        case .k2: (value, derivative) = (0.5 * a * a, a)
        case .k3: (value, derivative) = (Self.excess(a), -Double.expMinusOne(-a))
        case .k3Plus: (value, derivative) = (Self.excess(a), a)
        }
        return value > limit ? (limit, 0) : (value, derivative)
    }

    /// `e^{−a} − 1 + a`, by its series where the terms would cancel.
    private static func excess(_ a: Double) -> Double {
        guard a.magnitude < 1e-2 else { return Double.expMinusOne(-a) + a }
        // a²/2 − a³/6 + a⁴/24 − …: the eighth term is below 1e-16 of the first.
        var term = a * a / 2, sum = term
        for k in 3...9 {
            term *= -a / Double(k)
            sum += term
        }
        return sum
    }
}

/// The controller of a coefficient `β` that holds the divergence near a target:
///
///     β ← β (1 + clip(KL/target − 1, ±0.2) n / horizon)
///
/// after `n` samples. Ziegler et al., arXiv:1909.08593, §2.2 (horizon 10 000 samples).
public enum AdaptiveKL {
    public static func next(
        beta: Double, divergence: Double, target: Double, samples: Double, horizon: Double
    ) -> Double {
        let error = min(max(divergence / target - 1, -0.2), 0.2)
        return beta * (1 + error * samples / horizon)
    }
}
