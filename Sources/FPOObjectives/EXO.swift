import FPONumerics

/// Efficient exact optimisation on pairs: the reverse divergence of the policy's preference from a
/// label that is smoothed by `ε > 0`.
///
///     loss = KL(σ(β Δ) ‖ 1 − ε) = p log(p/(1 − ε)) + (1 − p) log((1 − p)/ε),   p = σ(β Δ)
///
/// Ji et al., arXiv:2402.00856, eq. 16. `ε = 0` would be infinite for every pair.
public struct EXO: PreferenceLoss {
    public var beta = 0.1
    public var labelSmoothing = 1e-3

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(
            .labelSmoothing, \.labelSmoothing, .leastNonzeroMagnitude...0.5,
            "epsilon > 0: share of labels taken to be flipped"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logRatio - rejected.logRatio)
        let logOdds = Double.log(onePlus: -labelSmoothing) - Double.log(labelSmoothing)
        let (p, notP) = (sigmoid(x), sigmoid(-x))
        let value =
            p * (Double.logSigmoid(x) - Double.log(onePlus: -labelSmoothing))
            + notP * (Double.logSigmoid(-x) - Double.log(labelSmoothing))
        return PairTerm(loss: value, slope: beta * p * notP * (x - logOdds))
    }
}
