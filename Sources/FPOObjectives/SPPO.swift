/// Self-play preference optimisation with hard labels: each log-ratio is fitted to its half of the
/// margin.
///
///     loss = (c − 1/(2β))² + (q + 1/(2β))²,   c, q = log π/π_ref of y⁺, y⁻
///
/// Wu et al., arXiv:2405.00675, eq. 4.6 with win rates 1 and 0; `β` is their 1/η.
public struct SPPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "the log-ratios aimed at are +-1 / (2 beta)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (e, f) = (chosen.logRatio - 1 / (2 * beta), rejected.logRatio + 1 / (2 * beta))
        return PairTerm(loss: e * e + f * f, dChosen: 2 * e, dRejected: 2 * f)
    }
}
