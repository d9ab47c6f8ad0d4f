import FPONumerics

/// How far the reward model overrates a sample: the factor `e` of the FPO penalty, and the slope
/// of the reward model's loss in its own output.
///
///     squared error    ½ (r − U)²                          e = r − U
///     Bradley–Terry    softplus(Δ) − p* Δ,  Δ = r − r₀      e = σ(Δ) − p*
///
/// with the oracle's utility `U`, or the soft label `p*` in [0, 1] that the sample is preferred to
/// its reference of reward `r₀`. An estimate in place of the label makes the penalty *residual*.
/// Gauthier, Bach and Jordan, arXiv:2605.04266; derivation in docs/math/fpo-penalty.md.
public enum Overconfidence {
    public static func squaredError(reward: Double, label: Double) -> Double { reward - label }

    public static func bradleyTerry(
        reward: Double, referenceReward: Double, label: Double
    ) -> Double {
        sigmoid(reward - referenceReward) - label
    }

    /// One value a sample: Bradley–Terry if there are rewards of references.
    public static func evaluate(
        count n: Int, reward: UnsafePointer<Double>, referenceReward: UnsafePointer<Double>?,
        label: UnsafePointer<Double>, into overconfidence: UnsafeMutablePointer<Double>
    ) {
        for i in 0..<n {
            if let referenceReward {
                overconfidence[i] = bradleyTerry(
                    reward: reward[i], referenceReward: referenceReward[i], label: label[i])
            } else {
                overconfidence[i] = squaredError(reward: reward[i], label: label[i])
            }
        }
    }
}
