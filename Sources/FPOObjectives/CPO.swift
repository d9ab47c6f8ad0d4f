import FPONumerics

/// Contrastive preference optimisation: DPO with a uniform reference, and the likelihood of the
/// chosen response, averaged over its tokens.
///
///     loss = −log σ(β (log π(y⁺) − log π(y⁻))) − α log π(y⁺)/T⁺
///
/// Xu et al., arXiv:2401.08417, eq. 5.
public struct CPO: PreferenceLoss {
    public var beta = 0.1
    public var alpha = 1.0

    public init() {}

    public static let usesReference = false
    public static let usesLength = true

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward"),
        .init(
            .alpha, \.alpha, .nonnegative,
            "weight of the negative log-likelihood of the chosen response"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logProbability - rejected.logProbability)
        let slope = -beta * sigmoid(-x)
        return PairTerm(
            loss: softplus(-x) - alpha * chosen.meanLogProbability,
            dChosen: slope - alpha / chosen.tokens, dRejected: -slope)
    }
}
