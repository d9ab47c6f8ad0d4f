import FPONumerics

/// Conservative DPO (cDPO): the labels are taken to be flipped with probability `ε`, which bounds the
/// margin that is asked for at `log((1 − ε)/ε)`.
///
///     loss = −(1 − ε) log σ(β Δ) − ε log σ(−β Δ)
///
/// Mitchell, *A note on DPO with noisy preferences*, 2023, eq. 3.
public struct ConservativeDPO: PreferenceLoss {
    public var beta = 0.1
    public var labelSmoothing = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(
            .labelSmoothing, \.labelSmoothing, 0...0.5,
            "epsilon: share of labels taken to be flipped"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logRatio - rejected.logRatio), e = labelSmoothing
        return PairTerm(
            loss: (1 - e) * softplus(-x) + e * softplus(x),
            slope: beta * (e * sigmoid(x) - (1 - e) * sigmoid(-x)))
    }
}
