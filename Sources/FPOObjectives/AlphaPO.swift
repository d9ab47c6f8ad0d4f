import FPONumerics

/// AlphaPO: SimPO with the reward bent by a Box–Cox transform of the mean probability of a token.
///
///     r(y) = β (1 − p̄^{−α})/α,   p̄ = exp(log π(y)/T)
///     loss = −log σ(r(y⁺) − r(y⁻) − γ)
///
/// Gupta et al., arXiv:2501.03884; `α → 0` is SimPO. `p̄^{−α}` of a very unlikely response is beyond
/// double precision.
public struct AlphaPO: PreferenceLoss {
    public var beta = 2.0
    public var gamma = 0.5
    public var alpha = 0.25

    public init() {}

    public static let usesReference = false
    public static let usesLength = true

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward"),
        .init(.gamma, \.gamma, .nonnegative, "margin that the chosen response must win by"),
        .init(.alpha, \.alpha, -10...10, "shape of the reward; 0: SimPO"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        // −expm1(−α ℓ)/α, and its derivative e^{−α ℓ} in ℓ.
        func reward(_ mean: Double) -> (Double, Double) {
            guard alpha != 0 else { return (mean, 1) }
            return (-Double.expMinusOne(-alpha * mean) / alpha, Double.exp(-alpha * mean))
        }
        let (a, da) = reward(chosen.meanLogProbability)
        let (b, db) = reward(rejected.meanLogProbability)
        let x = beta * (a - b) - gamma
        let slope = -beta * sigmoid(-x)
        return PairTerm(
            loss: softplus(-x), dChosen: slope * da / chosen.tokens,
            dRejected: -slope * db / rejected.tokens)
    }
}
