import FPONumerics

/// The loss that a language model discovered: logistic and exponential, blended by the margin itself.
///
///     loss = (1 − m) softplus(−x) + m e^{−x},   x = β Δ,   m = σ(x/τ)
///
/// Lu et al., arXiv:2406.08414, eq. 5. Not monotone: around `x = 0` the slope has the wrong sign, and
/// such a pair is unlearned.
public struct DiscoPOP: PreferenceLoss {
    public var beta = 0.1
    public var temperature = 0.05

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(.temperature, \.temperature, .positive, "tau: width of the blend"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        let x = beta * (chosen.logRatio - rejected.logRatio), y = x / temperature
        let (m, notM) = (sigmoid(y), sigmoid(-y))
        // m e^{−x} by its logarithm: the factors under- and overflow apart.
        let exponential = Double.exp(Double.logSigmoid(y) - x)
        let slope =
            -notM * sigmoid(-x) - m * notM / temperature * softplus(-x)
            + exponential * (notM / temperature - 1)
        return PairTerm(loss: notM * softplus(-x) + exponential, slope: beta * slope)
    }
}
