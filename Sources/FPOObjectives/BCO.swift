import FPONumerics

/// Binary classifier optimisation on pairs: chosen against rejected as two classes, without the shift
/// `δ` of the unpaired form.
///
///     loss = −log σ(β c) − log σ(−β q),   c, q = log π/π_ref of y⁺, y⁻
///
/// Jung et al., arXiv:2404.04656, theorem 1: a bound on the loss of DPO; `δ = 0`.
public struct BCO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (c, q) = (beta * chosen.logRatio, beta * rejected.logRatio)
        return PairTerm(
            loss: softplus(-c) + softplus(q), dChosen: -beta * sigmoid(-c),
            dRejected: beta * sigmoid(q))
    }
}
