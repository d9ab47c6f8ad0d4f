public import FPOKernelTypes

/// A controlled environment of iterative RLHF: a Gaussian policy climbs a reward model that is
/// retrained on the policy's own labelled actions. `include/fpo.h` states the equations.
///
/// Gauthier, Bach and Jordan, 2026: <https://arxiv.org/abs/2605.04266>, the simulations. Every
/// constant of theirs is a field; ``linear`` and ``neural`` hold the published values.
public struct Environment: Sendable {
    public enum RewardModel: Int, CaseIterable, Sendable { case linear, mlp }
    public enum Precision: Int, CaseIterable, Sendable { case float32, float64 }
    public enum Gradient: Int, CaseIterable, Sendable { case analytic, forwardDifference }
    public typealias Optimizer = GamePlan.Optimizer

    public var rewardModel = RewardModel.mlp
    public var hidden: [Int] = []
    public var rewardBias = true
    public var precision = Precision.float32
    public var gradient = Gradient.analytic
    public var differenceStep = 0.05

    public var dimension = 0, signalDimension = 0
    public var rounds = 0, innerSteps = 0
    public var utilityPeak = 10.0, utilityTarget = 0.0, utilityDecay = 0.0
    public var actionCost = 0.0, penaltyWeight = 0.0
    public var policyRate = 0.0, policyRateFinal = 0.0
    public var gradientClip = Double.infinity
    public var exploration = 0.0, explorationFinal = 0.0, annealingPower = 4.0

    public var labelsPerRound = 1, labelBuffer = 1
    public var labelExploration = 1.0, labelNoise = 0.0, labelBias = 0.0

    public var rewardSteps = 1
    public var optimizer = Optimizer.adam
    public var rewardRate = 0.0, weightDecay = 0.0
    public var initialWeightScale = 0.1, initialSignalWeight = 0.0

    /// Nothing published: every size zero.
    public init() {}

    /// Inputs of the reward model's layers: the action's dimension, then the hidden units.
    var widths: [Int] { [dimension] + hidden }

    /// Parameters of one reward model.
    public var parameterCount: Int {
        let outputs = hidden + [1]
        let weights = zip(widths, outputs).reduce(0) { $0 + $1.0 * $1.1 }
        let biases = rewardModel == .mlp ? outputs.reduce(0, +) : rewardBias ? 1 : 0
        return weights + biases
    }

    /// The 50-dimensional environment with a linear reward model: one gradient step of the action a
    /// round, one label, one step of stochastic gradient descent.
    public static let linear: Environment = {
        var e = Environment()
        e.rewardModel = .linear
        e.rewardBias = false
        e.precision = .float64
        e.dimension = 50
        e.signalDimension = 3
        e.rounds = 300
        e.innerSteps = 1
        e.utilityTarget = 2
        e.utilityDecay = 0.3
        e.actionCost = 0.1
        e.penaltyWeight = 0.1
        e.policyRate = 0.02
        e.policyRateFinal = 0.02
        e.optimizer = .sgd
        e.rewardRate = 0.005
        e.weightDecay = 1e-4
        e.initialSignalWeight = 1
        return e
    }()

    /// The 10-dimensional environment with a 10-32-32-1 softplus reward model and annealed
    /// exploration.
    public static let neural: Environment = {
        var e = Environment()
        e.hidden = [32, 32]
        e.dimension = 10
        e.signalDimension = 2
        e.rounds = 4000
        e.innerSteps = 15
        e.utilityTarget = 2.5
        e.utilityDecay = 0.2
        e.actionCost = 0.01
        e.penaltyWeight = 0.005
        e.policyRate = 0.05
        e.policyRateFinal = 0.001
        e.gradientClip = 1
        e.exploration = 0.1
        e.explorationFinal = 0.001
        e.labelsPerRound = 5
        e.labelBuffer = 50
        e.rewardRate = 1e-3
        e.weightDecay = 1e-3
        return e
    }()
}
