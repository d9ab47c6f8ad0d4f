import FPONumerics

/// Preferences with ties: differences of reward within a threshold `κ` are not told apart.
///
///     P(win) = σ(d − κ),   P(loss) = σ(−d − κ),   P(tie) = (e^{2κ} − 1) P(win) P(loss)
///
/// with `d = r⁺ − r⁻ − m`. The label is 1, ½ or 0 for a win, a tie or a loss; between them the loss
/// is interpolated. Rao and Kupper, Journal of the American Statistical Association 62 (1967), §2.
public struct RaoKupper: PairRewardLoss {
    /// `κ > 0`
    public var tie = 0.5
    public var centring = 0.0

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.tie, \.tie, .positive, "kappa: difference of reward below which ties are likely"),
        .init(.centring, \.centring, .nonnegative, "weight of (chosen + rejected)^2"),
    ]

    public func callAsFunction(
        chosen: Double, rejected: Double, margin: Double, label: Double
    ) -> PairTerm {
        let d = chosen - rejected - margin, outcome = 2 * label - 1
        let isTie = 1 - outcome.magnitude
        let (win, loss) = (max(outcome, 0) + isTie, max(-outcome, 0) + isTie)
        var value = 0.0
        if win > 0 { value += win * softplus(tie - d) }
        if loss > 0 { value += loss * softplus(tie + d) }
        // log(e^{2κ} − 1)
        if isTie > 0 { value -= isTie * (2 * tie + Double.log(-Double.expMinusOne(-2 * tie))) }
        return PairTerm(
            loss: value, slope: loss * sigmoid(tie + d) - win * sigmoid(tie - d)
        ).centred(centring, chosen, rejected)
    }
}
