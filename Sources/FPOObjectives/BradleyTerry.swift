import FPONumerics

/// The reward model's loss on preferences, with the trimmings that practice has added:
///
///     d    = r⁺ − r⁻ − m
///     p′   = ε + (1 − 2 ε) p
///     loss = softplus(d) − p′ d + c (r⁺ + r⁻)²
///
/// that is `−p′ log σ(d) − (1 − p′) log σ(−d)` and a pull of the rewards to mean zero. A label
/// `p = ½` is a tie, a margin `m ≥ 0` a graded preference, `ε` label smoothing. Bradley and Terry,
/// Biometrika 39 (1952); margin: Touvron et al., arXiv:2307.09288, eq. 2; centring: Eisenstein et
/// al., arXiv:2312.09244, §2 (`c` = 0.01 where it is used).
public struct BradleyTerry: PairRewardLoss {
    public var labelSmoothing = 0.0
    public var centring = 0.0

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.labelSmoothing, \.labelSmoothing, 0...0.5, "share of labels taken to be flipped"),
        .init(
            .centring, \.centring, .nonnegative, "weight of (chosen + rejected)^2; 0.01 is usual"),
    ]

    public func callAsFunction(
        chosen: Double, rejected: Double, margin: Double, label: Double
    ) -> PairTerm {
        let d = chosen - rejected - margin
        let p = labelSmoothing + (1 - 2 * labelSmoothing) * label
        // softplus(d) − p d without the cancellation of large d.
        let term = PairTerm(
            loss: p * softplus(-d) + (1 - p) * softplus(d),
            slope: p == 1 ? -sigmoid(-d) : sigmoid(d) - p)
        return term.centred(centring, chosen, rejected)
    }
}

extension PairTerm {
    /// A loss of the difference of its arguments, with that slope.
    init(loss: Double, slope: Double) {
        self.init(loss: loss, dChosen: slope, dRejected: -slope)
    }

    func centred(_ weight: Double, _ chosen: Double, _ rejected: Double) -> PairTerm {
        guard weight > 0 else { return self }
        let sum = chosen + rejected, pull = 2 * weight * sum
        return PairTerm(
            loss: loss + weight * sum * sum, dChosen: dChosen + pull, dRejected: dRejected + pull)
    }
}
