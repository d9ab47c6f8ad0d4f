import FPONumerics

/// Odds-ratio preference optimisation: the likelihood of the chosen response, and the odds of both;
/// no reference model. With the mean log-probabilities `a`, `b` of a token of `y⁺`, `y⁻`:
///
///     loss = −a + β softplus(−z),   z = log(odds⁺ / odds⁻),   log odds = a − log(1 − eᵃ)
///
/// Hong, Lee and Thorne, arXiv:2403.07691, eq. 6 (`β` is their λ). An empty or certain rejected
/// response has infinite odds, and the loss is infinite.
public struct ORPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let usesReference = false
    public static let usesLength = true
    public static let needsProbabilities = true

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .nonnegative, "lambda of the paper: weight of the odds ratio")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let (a, b) = (chosen.meanLogProbability, rejected.meanLogProbability)
        let (p, q) = (Double.exp(a), Double.exp(b))
        // 1 − p and 1 − q, without cancellation; σ(−z) = odds⁻ / (odds⁺ + odds⁻).
        let (notP, notQ) = (-Double.expMinusOne(a), -Double.expMinusOne(b))
        guard notQ > 0 else { return PairTerm(loss: .infinity, dChosen: 0, dRejected: 0) }
        let logOddsRejected = b - Double.logOneMinusExp(b)
        let value = notP > 0 ? softplus(logOddsRejected - a + Double.logOneMinusExp(a)) : 0
        // dz/da = 1/(1 − p): σ(−z)/(1 − p) = q/(p (1 − q) + q (1 − p)), finite where p = 1.
        let z = a - b + Double.logOneMinusExp(b) - (notP > 0 ? Double.logOneMinusExp(a) : 0)
        let chosenSlope: Double
        if notP > 0 {
            chosenSlope = sigmoid(-z) / notP
        } else {
            chosenSlope = q / (p * notQ)
        }
        let rejectedSlope = notP > 0 ? sigmoid(-z) / notQ : 0
        return PairTerm(
            loss: -a + beta * value, dChosen: (-1 - beta * chosenSlope) / chosen.tokens,
            dRejected: beta * rejectedSlope / rejected.tokens)
    }
}
