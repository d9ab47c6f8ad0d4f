/// What all games of a simulation have in common, as the kernels read it: the environment and the
/// penalty of `fpo.h`, validated and flattened. Pointers are owned by the simulation.
public struct GamePlan: @unchecked Sendable {
    public enum Alignment: Int, Sendable {
        /// No penalty.
        case none
        /// `A = ‖g(y)‖²`.
        case norm
        /// `A = ⟨g(y), w⟩`, with a direction `w` per round.
        case direction
        /// `A = ⟨g(y), (H + δ I)⁻¹ g(y)⟩`.
        case inverseNorm
        /// `A = 1`.
        case unit
    }

    public enum Overconfidence: Int, Sendable {
        /// `e = 1`.
        case one
        /// `e = r − Ũ`, from the oracle.
        case oracle
        /// `e = r − Û`, from the labels already bought.
        case estimate
    }

    public enum Estimator: Int, Sendable { case ridge, kalman }

    public enum Optimizer: Int, CaseIterable, Sendable { case sgd, adam, adamW }

    // The policy and its world.
    public var dimension = 0, signalDimension = 0
    public var rounds = 0, innerSteps = 0
    public var utilityPeak = 0.0, utilityTarget = 0.0, utilityDecay = 0.0
    public var actionCost = 0.0
    public var policyRate = 0.0, policyRateFinal = 0.0
    public var exploration = 0.0, explorationFinal = 0.0, annealingPower = 0.0
    public var gradientClip = 0.0
    /// Step of the forward difference; 0 for the analytic gradient.
    public var differenceStep = 0.0
    /// Centre of the action cost, `dimension` values.
    public var centre: UnsafePointer<Double>! = nil

    // Labels.
    public var labelsPerRound = 0, labelBuffer = 0
    public var labelExploration = 0.0, labelNoise = 0.0, labelBias = 0.0

    // The reward model.
    /// `hiddenCount + 1` widths: the action's dimension, then the hidden layers'.
    public var widths: UnsafePointer<Int>! = nil
    public var hiddenCount = 0
    public var bias = true
    public var rewardSteps = 0
    public var optimizer = Optimizer.adam
    public var rewardRate = 0.0, weightDecay = 0.0

    // The penalty.
    public var weight = 0.0
    public var alignment = Alignment.none
    public var overconfidence = Overconfidence.one
    /// Whether the slope of `Ũ` or `Û` is part of the policy's gradient.
    public var labelSlope = false
    /// Direction of `.direction`: `H⁻¹ ḡ`, or `ḡ` itself.
    public var inverseCurvature = true
    public var damping = 0.0
    public var estimator = Estimator.kalman
    public var estimatorBuffer = 0, kappa = 0.0
    public var filter = UtilityFilterSettings()

    // Given noise, or nil: `(games, rounds, innerSteps, dimension)` and
    // `(games, rounds, labelsPerRound, dimension)`.
    public var innerNoise: UnsafePointer<Double>? = nil
    public var labelDraws: UnsafePointer<Double>? = nil

    public init() {}

    /// Parameters of one reward model.
    public var parameterCount: Int {
        var count = 0
        for l in 0..<hiddenCount { count += widths[l + 1] * (widths[l] + 1) }
        return count + widths[hiddenCount] + (bias ? 1 : 0)
    }
}

/// The games that share the lanes of one vector.
public struct GameGroup: @unchecked Sendable {
    /// `GameKernels.memory(plan)` bytes, 64-byte aligned.
    public var memory: UnsafeMutableRawPointer
    /// The index of each lane's game, and its keys; idle lanes repeat the last game.
    public var games: UnsafePointer<Int>
    public var keys: UnsafePointer<StreamKeys>

    public init(
        memory: UnsafeMutableRawPointer, games: UnsafePointer<Int>,
        keys: UnsafePointer<StreamKeys>
    ) {
        self.memory = memory
        self.games = games
        self.keys = keys
    }
}

/// The keys of one game's streams; each round draws from a fold of one.
public struct StreamKeys: BitwiseCopyable, Sendable {
    public var inner, label, labelNoise, probe: UInt64
    public init(inner: UInt64, label: UInt64, labelNoise: UInt64, probe: UInt64) {
        self.inner = inner
        self.label = label
        self.labelNoise = labelNoise
        self.probe = probe
    }
}

/// What is recorded of a game, in this order.
public enum Metric: Int, CaseIterable, Sendable {
    case utility, proxyReward, signal, noise, overconfidence, slopeCosine, offPolicyError
    case sensitivity, penalty
}

/// The metrics that someone wants to know.
public struct MetricSet: Sendable {
    private var bits = 0

    public init() {}
    public mutating func insert(_ metric: Metric) { bits |= 1 << metric.rawValue }
    public func contains(_ metric: Metric) -> Bool { bits & 1 << metric.rawValue != 0 }
}

/// Where the kernels measure: (Metric.allCases, lanes), of which they fill the wanted rows.
public struct Measurement {
    public var wanted: MetricSet
    public var metrics: UnsafeMutablePointer<Double>

    public init(_ wanted: MetricSet, into metrics: UnsafeMutablePointer<Double>) {
        self.wanted = wanted
        self.metrics = metrics
    }
}

/// The game kernels of one element type at one CPU level.
public struct GameKernels: Sendable {
    /// Games that one group holds.
    public let lanes: Int
    /// Bytes of one element.
    public let elementSize: Int
    /// Numbers of one game's state, all that a saved game needs; and vectors of a group's memory,
    /// scratch included.
    public let stateVectors: Count
    public let memoryVectors: Count
    /// Sets the actions to `start` (dimension) and the weights to `weights` (lanes, parameters).
    public let start: Start
    /// Plays rounds `first ..< first + count`. With a measurement, measures after the last round's
    /// policy update, before its reward model retrains.
    public let play: Play
    /// Measures the present state at a round.
    public let measure: Measure
    /// Reads numbers `from ..< from + count` of the state as (lanes, count), actions and weights
    /// first; and writes them.
    public let read: Read
    public let write: Write

    public typealias Count = @Sendable (GamePlan) -> Int
    public typealias Start =
        @Sendable (
            _ plan: GamePlan, _ group: GameGroup, _ start: UnsafePointer<Double>,
            _ weights: UnsafePointer<Double>
        ) -> Void
    public typealias Play =
        @Sendable (
            _ plan: GamePlan, _ group: GameGroup, _ first: Int, _ count: Int,
            _ measurement: Measurement?
        ) -> Void
    public typealias Measure =
        @Sendable (
            _ plan: GamePlan, _ group: GameGroup, _ round: Int, _ measurement: Measurement
        ) -> Void
    public typealias Read =
        @Sendable (
            _ plan: GamePlan, _ group: GameGroup, _ from: Int, _ count: Int,
            _ numbers: UnsafeMutablePointer<Double>
        ) -> Void
    public typealias Write =
        @Sendable (
            _ plan: GamePlan, _ group: GameGroup, _ from: Int, _ count: Int,
            _ numbers: UnsafePointer<Double>
        ) -> Void

    public init(
        lanes: Int, elementSize: Int, stateVectors: @escaping Count, memoryVectors: @escaping Count,
        start: @escaping Start, play: @escaping Play, measure: @escaping Measure,
        read: @escaping Read, write: @escaping Write
    ) {
        self.lanes = lanes
        self.elementSize = elementSize
        self.stateVectors = stateVectors
        self.memoryVectors = memoryVectors
        self.start = start
        self.play = play
        self.measure = measure
        self.read = read
        self.write = write
    }
}
