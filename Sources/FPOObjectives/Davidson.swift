import FPONumerics

/// Preferences with ties: a win, a tie and a loss have the weights `e^{d/2}`, `ν` and `e^{−d/2}`.
///
///     Z    = e^{d/2} + e^{−d/2} + ν,   d = r⁺ − r⁻ − m
///     loss = log Z − (2p − 1) d/2 − (1 − |2p − 1|) log ν
///
/// The label `p` is 1, ½ or 0 for a win, a tie or a loss; between them the loss is interpolated.
/// Davidson, Journal of the American Statistical Association 65 (1970), eq. 2.5.
public struct Davidson: PairRewardLoss {
    /// `ν > 0`: the odds of a tie against a win between equals.
    public var tie = 1.0
    public var centring = 0.0

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.tie, \.tie, .positive, "nu: odds of a tie against a win between equals"),
        .init(.centring, \.centring, .nonnegative, "weight of (chosen + rejected)^2"),
    ]

    public func callAsFunction(
        chosen: Double, rejected: Double, margin: Double, label: Double
    ) -> PairTerm {
        let d = chosen - rejected - margin, outcome = 2 * label - 1
        let (half, logTie) = (d.magnitude / 2, Double.log(tie))
        let top = max(half, logTie)
        let win = Double.exp(half - top), loss = Double.exp(-half - top)
        let z = win + loss + Double.exp(logTie - top)
        let slope = (d < 0 ? loss - win : win - loss) / z
        let value =
            top + Double.log(z) - outcome * d / 2 - (1 - outcome.magnitude) * logTie
        return PairTerm(loss: value, slope: (slope - outcome) / 2)
            .centred(centring, chosen, rejected)
    }
}
