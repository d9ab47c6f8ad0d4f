/// Identity preference optimisation, with log-ratios summed over tokens as the paper has them: a
/// regression of the margin on `1/(2β)`, which stays finite where preferences are certain.
///
///     loss = (Δ − 1/(2β))²
///
/// Azar et al., arXiv:2310.12036, eq. 17. ``MeanIPO`` is the length-averaged form.
public struct IPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "tau of the paper: the margin aimed at is 1 / (2 beta)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let e = chosen.logRatio - rejected.logRatio - 1 / (2 * beta)
        return PairTerm(loss: e * e, slope: 2 * e)
    }
}

/// IPO with log-ratios averaged over the tokens of each response: what TRL's `loss_type="ipo"`
/// computes, and another loss than the paper's.
///
///     loss = (c/T⁺ − q/T⁻ − 1/(2β))²,   c, q = log π/π_ref of y⁺, y⁻
public struct MeanIPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let usesLength = true

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "the margin aimed at, per token, is 1 / (2 beta)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (w, l) = (1 / chosen.tokens, 1 / rejected.tokens)
        let e = w * chosen.logRatio - l * rejected.logRatio - 1 / (2 * beta)
        return PairTerm(loss: e * e, dChosen: 2 * e * w, dRejected: -2 * e * l)
    }
}
