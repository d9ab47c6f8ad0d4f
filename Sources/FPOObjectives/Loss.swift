/// A number that a ``Loss`` is told, and the field of `fpo_loss` that carries it.
public enum LossField: CaseIterable, Sendable {
    case beta, labelSmoothing, gamma, alpha, weight, temperature, centring, tie
    case desirableWeight, undesirableWeight
}

/// A parameter of a loss: its field, where it stands, its bounds, and what it is.
public struct LossParameter<L>: @unchecked Sendable {
    public let field: LossField
    public let path: WritableKeyPath<L, Double>
    public let bounds: ClosedRange<Double>
    public let doc: StaticString

    public init(
        _ field: LossField, _ path: WritableKeyPath<L, Double>, _ bounds: ClosedRange<Double>,
        _ doc: StaticString
    ) {
        self.field = field
        self.path = path
        self.bounds = bounds
        self.doc = doc
    }
}

extension ClosedRange<Double> {
    public static var positive: Self { .leastNonzeroMagnitude...1e6 }
    public static var nonnegative: Self { 0...1e6 }
}

/// A loss with parameters; `init()` has the defaults. A conforming type is one method.
public protocol Loss: Sendable {
    init()
    static var parameters: [LossParameter<Self>] { get }
}

/// The loss of one pair, with its derivatives in its two arguments.
public struct PairTerm: Sendable, Equatable {
    public var loss: Double
    public var dChosen: Double
    public var dRejected: Double

    public init(loss: Double, dChosen: Double, dRejected: Double) {
        self.loss = loss
        self.dChosen = dChosen
        self.dRejected = dRejected
    }

    public var isFinite: Bool { loss.isFinite && dChosen.isFinite && dRejected.isFinite }
}

/// A loss of the two rewards of a (chosen, rejected) pair.
///
/// `label` in [0, 1] is the probability that the chosen response is the better one, 1 for a plain
/// preference; `margin` is what it must win by.
public protocol PairRewardLoss: Loss {
    func callAsFunction(chosen: Double, rejected: Double, margin: Double, label: Double) -> PairTerm
}

/// A response and what the models said of it.
public struct Response: Sendable {
    /// `log π(y | x)`, summed over tokens.
    public var logProbability: Double
    /// `log π_ref(y | x)`, summed over tokens; 0 where the loss has no reference.
    public var referenceLogProbability: Double
    /// Tokens of the response; of an empty one the mean over tokens is 0.
    public var length: Int

    public init(logProbability: Double, referenceLogProbability: Double = 0, length: Int = 1) {
        self.logProbability = logProbability
        self.referenceLogProbability = referenceLogProbability
        self.length = length
    }

    /// `log π − log π_ref`
    var logRatio: Double { logProbability - referenceLogProbability }
    /// What a sum over tokens is divided by.
    var tokens: Double { Double(max(length, 1)) }
    /// `log π / T`
    var meanLogProbability: Double { logProbability / tokens }
}

/// A loss of (chosen, rejected) pairs of responses, with derivatives in the policy's
/// log-probabilities. It knows log-probabilities and nothing of the model that they came from.
public protocol PreferenceLoss: Loss {
    static var usesReference: Bool { get }
    static var usesLength: Bool { get }
    /// The loss is one of probabilities: `log π <= 0` is required.
    static var needsProbabilities: Bool { get }
    func callAsFunction(chosen: Response, rejected: Response) -> PairTerm
}

extension PreferenceLoss {
    public static var usesReference: Bool { true }
    public static var usesLength: Bool { false }
    public static var needsProbabilities: Bool { false }
}

/// A loss of single responses that are labelled desirable or undesirable, with its derivative in
/// the policy's log-probability. `baseline` is the reference point `z₀` of ``KTO``.
public protocol UnpairedLoss: Loss {
    func callAsFunction(_ response: Response, isDesirable: Bool, baseline: Double)
        -> (loss: Double, derivative: Double)
}
