import FPONumerics

/// DPO with the likelihood of the chosen response, averaged over its tokens.
///
///     loss = −log σ(β Δ) − α log π(y⁺)/T⁺
///
/// Pang et al., *Iterative reasoning preference optimization*, arXiv:2404.19733, eq. 1.
public struct RPO: PreferenceLoss {
    public var beta = 0.1
    public var alpha = 1.0

    public init() {}

    public static let usesLength = true

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(
            .alpha, \.alpha, .nonnegative,
            "weight of the negative log-likelihood of the chosen response"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logRatio - rejected.logRatio)
        let slope = -beta * sigmoid(-x)
        return PairTerm(
            loss: softplus(-x) - alpha * chosen.meanLogProbability,
            dChosen: slope - alpha / chosen.tokens, dRejected: -slope)
    }
}
