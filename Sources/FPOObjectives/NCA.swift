import FPONumerics

/// Noise contrastive alignment on pairs: raises the chosen response absolutely, and not only against
/// the rejected one.
///
///     loss = −log σ(β c) − ½ log σ(−β c) − ½ log σ(−β q),   c, q = log π/π_ref of y⁺, y⁻
///
/// Chen et al., arXiv:2402.05369, section 4 (NCA), with one chosen and one rejected response.
public struct NCA: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (c, q) = (beta * chosen.logRatio, beta * rejected.logRatio)
        return PairTerm(
            loss: softplus(-c) + 0.5 * softplus(c) + 0.5 * softplus(q),
            dChosen: beta * (0.5 * sigmoid(c) - sigmoid(-c)), dRejected: 0.5 * beta * sigmoid(q))
    }
}
