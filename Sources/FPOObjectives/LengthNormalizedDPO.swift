import FPONumerics

/// DPO with log-ratios averaged over the tokens of each response.
///
///     loss = −log σ(β (c/T⁺ − q/T⁻)),   c, q = log π/π_ref of y⁺, y⁻
///
/// Lambert et al., *Tülu 3*, arXiv:2411.15124, eq. 6.
public struct LengthNormalizedDPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let usesLength = true

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (w, l) = (beta / chosen.tokens, beta / rejected.tokens)
        let x = w * chosen.logRatio - l * rejected.logRatio
        let slope = -sigmoid(-x)
        return PairTerm(loss: softplus(-x), dChosen: slope * w, dRejected: -slope * l)
    }
}
