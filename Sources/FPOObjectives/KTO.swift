import FPONumerics

/// Kahneman–Tversky optimisation: single responses, labelled desirable or not, against a reference
/// point `z₀`.
///
///     a    = log π/π_ref(y)
///     loss = w_D (1 − σ(β (a − z₀)))  desirable,   w_U (1 − σ(β (z₀ − a)))  undesirable
///     z₀   = max(0, mean of log π/π_ref over responses paired with the wrong prompts)
///
/// `z₀` is held constant. Ethayarajh et al., arXiv:2402.01306, eq. 8; they choose the weights so
/// that `w_D n_D / (w_U n_U)` lies in [1, 4/3]. Both default to 1: no loss aversion unless asked.
public struct KTO: UnpairedLoss {
    public var beta = 0.1
    public var desirableWeight = 1.0
    public var undesirableWeight = 1.0

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(.desirableWeight, \.desirableWeight, .nonnegative, "weight of desirable responses"),
        .init(
            .undesirableWeight, \.undesirableWeight, .nonnegative,
            "weight of undesirable responses"),
    ]

    public func callAsFunction(
        _ response: Response, isDesirable: Bool, baseline: Double
    ) -> (loss: Double, derivative: Double) {
        let x = beta * (response.logRatio - baseline)
        let weight = isDesirable ? desirableWeight : -undesirableWeight
        return (
            loss: weight.magnitude * sigmoid(isDesirable ? -x : x),
            derivative: -weight * beta * sigmoid(x) * sigmoid(-x)
        )
    }

    /// `z₀` of mismatched responses; 0 of none. A pair of a response with its own prompt does not
    /// measure it, so a batch of one has no estimate.
    public static func baseline(
        count n: Int, logProbability: UnsafePointer<Double>,
        referenceLogProbability: UnsafePointer<Double>
    ) -> Double {
        guard n > 0 else { return 0 }
        var sum = 0.0
        for i in 0..<n { sum += logProbability[i] - referenceLogProbability[i] }
        return max(0, sum / Double(n))
    }
}
