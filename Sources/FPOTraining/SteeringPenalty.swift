public import FPOKernelTypes

/// The penalty of a simulated policy: which overconfidence `e` and which alignment `A` make up
/// `P = e A`, and what of their slopes the policy's pathwise gradient sees.
public struct SteeringPenalty: Sendable {
    public enum Kind: Int, CaseIterable, Sendable {
        case myopic, practical, relaxed, exact, residual
    }
    public enum Curvature: Int, CaseIterable, Sendable { case inverse, identity }
    public enum Alignment: Int, CaseIterable, Sendable { case mean, own, unit }
    public enum OracleGradient: Int, CaseIterable, Sendable { case published = -1, no, yes }
    public enum Estimator: Int, CaseIterable, Sendable { case ridge, kalman }

    public var kind = Kind.myopic
    /// λ; negative for the environment's.
    public var weight = -1.0
    public var oracleGradient = OracleGradient.published
    public var curvature = Curvature.inverse
    public var alignment = Alignment.mean
    public var damping = 1e-3
    public var estimator = Estimator.kalman
    /// Labels that the ridge remembers; 0 for the reward model's own buffer.
    public var estimatorBuffer = 0
    public var estimatorGradient = true
    public var kappa = 1.0
    /// Of the utility filter.
    public var filter = UtilityFilterSettings()

    /// The defaults of a kind. The exact penalty's λ is 1, the leader's true gradient; it sees the
    /// oracle's slope, without which nothing is left to climb where its reward is the utility.
    public init(_ kind: Kind) {
        self.kind = kind
        switch kind {
        case .exact: (weight, oracleGradient) = (1, .yes)
        case .residual: (curvature, alignment) = (.identity, .own)
        default: break
        }
    }
}
