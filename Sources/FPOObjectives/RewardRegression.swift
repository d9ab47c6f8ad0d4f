import FPONumerics

/// Losses of one reward against its label: an absolute grade, or the outcome of a solution or of
/// one of its steps.
///
///     squared error    (r − U)²
///     cross-entropy    −p log σ(r) − (1 − p) log σ(−r),   p in [0, 1]
///
/// Outcome reward models: Cobbe et al., arXiv:2110.14168, §4.2; step labels: ``ProcessReward``.
public enum RewardRegression: Int, Sendable {
    case squaredError, crossEntropy

    public func callAsFunction(reward: Double, label: Double) -> (loss: Double, derivative: Double)
    {
        switch self {
        case .squaredError:
            let e = reward - label
            return (loss: e * e, derivative: 2 * e)
        case .crossEntropy:
            return (
                loss: label * softplus(-reward) + (1 - label) * softplus(reward),
                derivative: label == 1 ? -sigmoid(-reward) : sigmoid(reward) - label
            )
        }
    }
}
