import FPONumerics

/// DPO-Shift: the rejected response counts for less, which keeps the likelihood of the chosen one from
/// falling with it.
///
///     loss = −log σ(β (c − λ q)),   c, q = log π/π_ref of y⁺, y⁻
///
/// Yang, Tao and Ji, arXiv:2502.07599, with a constant `f(λ) = λ`.
public struct DPOShift: PreferenceLoss {
    public var beta = 0.1
    public var weight = 0.95

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(.weight, \.weight, 0...1, "weight of the rejected response; 1: DPO"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logRatio - weight * rejected.logRatio)
        let slope = -beta * sigmoid(-x)
        return PairTerm(loss: softplus(-x), dChosen: slope, dRejected: -slope * weight)
    }
}
