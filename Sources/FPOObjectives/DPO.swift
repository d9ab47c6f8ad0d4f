import FPONumerics

/// Direct preference optimisation: Bradley–Terry on the implicit reward `β log(π/π_ref)`.
///
///     loss = −log σ(β Δ),   Δ = log π/π_ref(y⁺) − log π/π_ref(y⁻)
///
/// Rafailov et al., arXiv:2305.18290, eq. 7.
public struct DPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logRatio - rejected.logRatio)
        return PairTerm(loss: softplus(-x), slope: -beta * sigmoid(-x))
    }
}
