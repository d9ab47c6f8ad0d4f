import FPONumerics

/// DPO-Positive (DPOP): a penalty where the chosen response has become less likely than the reference
/// had it.
///
///     loss = −log σ(β (Δ − λ max(0, −c))),   c = log π/π_ref(y⁺)
///
/// Pal et al., *Smaug*, arXiv:2402.13228, eq. 3. At `c = 0` the slope is DPO's.
public struct DPOPositive: PreferenceLoss {
    public var beta = 0.1
    public var weight = 5.0

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(.weight, \.weight, .nonnegative, "weight of the penalty; 0: DPO"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let c = chosen.logRatio
        let x = beta * (c - rejected.logRatio - weight * max(0, -c))
        let slope = -beta * sigmoid(-x)
        return PairTerm(
            loss: softplus(-x), dChosen: slope * (c < 0 ? 1 + weight : 1), dRejected: -slope)
    }
}
