import FPONumerics

/// Simple preference optimisation: a length-normalised margin, and no reference model.
///
///     loss = −log σ(β/T⁺ log π(y⁺) − β/T⁻ log π(y⁻) − γ)
///
/// Meng, Xia and Chen, arXiv:2405.14734, eq. 6. The paper reports `γ/β`; this is `γ`.
public struct SimPO: PreferenceLoss {
    public var beta = 2.0
    public var gamma = 0.5

    public init() {}

    public static let usesReference = false
    public static let usesLength = true

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward"),
        .init(.gamma, \.gamma, .nonnegative, "margin that the chosen response must win by"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (w, l) = (beta / chosen.tokens, beta / rejected.tokens)
        let x = w * chosen.logProbability - l * rejected.logProbability - gamma
        let slope = -sigmoid(-x)
        return PairTerm(loss: softplus(-x), dChosen: slope * w, dRejected: -slope * l)
    }
}
