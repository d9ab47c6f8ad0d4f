import FPONumerics

/// Robust DPO: an unbiased estimate of the DPO loss of clean labels from labels that are flipped with
/// probability `ε`. It is unbounded below: a pair that is won by far has a negative loss.
///
///     loss = (−(1 − ε) log σ(β Δ) + ε log σ(−β Δ)) / (1 − 2 ε)
///
/// Chowdhury, Kini and Natarajan, arXiv:2403.00409, eq. 11.
public struct RobustDPO: PreferenceLoss {
    public var beta = 0.1
    public var labelSmoothing = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(
            .labelSmoothing, \.labelSmoothing, 0...(0.5).nextDown,
            "epsilon: probability that a label is flipped"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logRatio - rejected.logRatio), e = labelSmoothing
        return PairTerm(
            loss: ((1 - e) * softplus(-x) - e * softplus(x)) / (1 - 2 * e),
            slope: -beta * ((1 - e) * sigmoid(-x) + e * sigmoid(x)) / (1 - 2 * e))
    }
}
