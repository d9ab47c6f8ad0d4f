import FPONumerics

/// Anchored preference optimisation, zero: the chosen response rises and the rejected one falls,
/// whatever the other does. For pairs whose chosen response is better than the policy.
///
///     loss = 1 − σ(β c) + σ(β q),   c, q = log π/π_ref of y⁺, y⁻
///
/// D'Oosterlinck et al., arXiv:2408.06266, eq. 7.
public struct APOZero: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (c, q) = (beta * chosen.logRatio, beta * rejected.logRatio)
        return PairTerm(
            loss: sigmoid(-c) + sigmoid(q), dChosen: -beta * sigmoid(c) * sigmoid(-c),
            dRejected: beta * sigmoid(q) * sigmoid(-q))
    }
}

/// Anchored preference optimisation, down: both responses fall, the rejected one faster. For pairs
/// whose chosen response is worse than the policy.
///
///     loss = σ(β c) + 1 − σ(β (c − q)),   c, q = log π/π_ref of y⁺, y⁻
///
/// D'Oosterlinck et al., arXiv:2408.06266, eq. 8.
public struct APODown: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let c = beta * chosen.logRatio, x = beta * (chosen.logRatio - rejected.logRatio)
        let (fall, margin) = (beta * sigmoid(c) * sigmoid(-c), beta * sigmoid(x) * sigmoid(-x))
        return PairTerm(loss: sigmoid(c) + sigmoid(-x), dChosen: fall - margin, dRejected: margin)
    }
}
