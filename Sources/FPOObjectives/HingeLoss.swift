/// The hinge loss on the implicit reward, `max(0, 1 − β Δ)`, with slope 0 at the kink.
///
/// Zhao et al., *SLiC-HF*, arXiv:2305.10425, eq. 2, with the reference of DPO as Liu et al.,
/// arXiv:2309.06657, eq. 10, write it.
public struct HingeLoss: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let slack = 1 - beta * (chosen.logRatio - rejected.logRatio)
        return PairTerm(loss: max(0, slack), slope: slack > 0 ? -beta : 0)
    }
}
