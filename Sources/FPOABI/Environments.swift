import CFPO
import FPOTraining

/// The largest size that one field may ask for; memory sets the real limits.
private let most = 1e6

/// Every field of `fpo_environment` but `hidden`.
let environmentParameters: [Parameter<fpo_environment, Environment>] = [
    .init(
        "reward_model", \.reward_model, \.rewardModelCode, 0...1, choices: "linear,mlp",
        "kind of the reward model"),
    .init(
        "reward_bias", \.reward_bias, \.rewardBiasCode, 0...1,
        "whether a linear reward model has a bias; an MLP always has"),
    .init(
        "precision", \.precision, \.precisionCode, 0...1, choices: "float32,float64",
        "arithmetic of the games"),
    .init(
        "gradient", \.gradient, \.gradientCode, 0...1, choices: "analytic,forward-difference",
        "how the policy's gradient is had; the published linear figures use forward differences"),
    .init(
        "dimension", \.dimension, \.dimension, 2...most, "coordinates of an action"),
    .init(
        "signal_dimension", \.signal_dimension, \.signalDimension, 1...most,
        "coordinates that the utility has its peak away from 0 in; the others are noise"),
    .init("rounds", \.rounds, \.rounds, 1...1e9, "rounds of a game"),
    .init(
        "inner_steps", \.inner_steps, \.innerSteps, 1...most, "policy gradient steps in a round"),
    .init(
        "labels_per_round", \.labels_per_round, \.labelsPerRound, 1...most,
        "actions that are labelled in a round"),
    .init(
        "label_buffer", \.label_buffer, \.labelBuffer, 1...most,
        "newest labels that the reward model is trained on; at least labels_per_round"),
    .init(
        "reward_steps", \.reward_steps, \.rewardSteps, 0...most,
        "optimiser steps of the reward model in a round"),
    .init(
        "reward_optimizer", \.reward_optimizer, \.optimizerCode, 0...2, choices: "sgd,adam,adamw",
        "optimiser of the reward model"),
    .init(
        "difference_step", \.difference_step, \.differenceStep, .leastNonzeroMagnitude...1e3,
        "step of the forward difference"),
    .init(
        "utility_peak", \.utility_peak, \.utilityPeak, -1e6...1e6, "utility of the ideal action"),
    .init(
        "utility_target", \.utility_target, \.utilityTarget, -1e6...1e6,
        "signal coordinates of the ideal action"),
    .init(
        "utility_decay", \.utility_decay, \.utilityDecay, 0...1e6,
        "decay of the utility with the squared distance from the ideal"),
    .init(
        "action_cost", \.action_cost, \.actionCost, 0...1e6,
        "cost of the squared distance of an action from the centre, a leash"),
    .init(
        "penalty_weight", \.penalty_weight, \.penaltyWeight, 0...1e9,
        "lambda, the weight of the penalty"),
    .init(
        "policy_learning_rate", \.policy_learning_rate, \.policyRate, 0...1e6,
        "step of the policy in the first round"),
    .init(
        "policy_learning_rate_final", \.policy_learning_rate_final, \.policyRateFinal, 0...1e6,
        "step of the policy after the last round"),
    .init(
        "gradient_clip", \.gradient_clip, \.gradientClip, .leastNonzeroMagnitude...(.infinity),
        "largest magnitude of a coordinate of the policy's gradient"),
    .init(
        "exploration", \.exploration, \.exploration, 0...1e6,
        "standard deviation of the policy in the first round"),
    .init(
        "exploration_final", \.exploration_final, \.explorationFinal, 0...1e6,
        "standard deviation of the policy after the last round"),
    .init(
        "annealing_power", \.annealing_power, \.annealingPower, 0...1e3,
        "power of the progress in the annealing of exploration and learning rate"),
    .init(
        "label_exploration", \.label_exploration, \.labelExploration, 0...1e6,
        "factor on the exploration when labelled actions are drawn"),
    .init(
        "label_noise", \.label_noise, \.labelNoise, 0...1e6,
        "standard deviation of a label's error"),
    .init(
        "label_bias", \.label_bias, \.labelBias, -1e6...1e6,
        "what raters add at most for flattery, tanh of the first noise coordinate"),
    .init(
        "reward_learning_rate", \.reward_learning_rate, \.rewardRate, 0...1e6,
        "learning rate of the reward model"),
    .init(
        "weight_decay", \.weight_decay, \.weightDecay, 0...1e6,
        "weight decay of the reward model, as its optimiser applies it"),
    .init(
        "initial_weight_scale", \.initial_weight_scale, \.initialWeightScale, 0...1e6,
        "standard deviation of the initial weights"),
    .init(
        "initial_signal_weight", \.initial_signal_weight, \.initialSignalWeight, -1e6...1e6,
        "mean of a linear reward model's initial weights on the signal coordinates"),
]

let penaltyParameters: [Parameter<fpo_penalty, SteeringPenalty>] = [
    .init(
        "kind", \.kind, \.kindCode, 0...4, choices: "myopic,practical,relaxed,exact,residual",
        "the penalty"),
    .init(
        "weight", \.weight, \.weight, -1...1e9,
        "lambda; negative for the environment's penalty_weight"),
    .init(
        "oracle_gradient", \.oracle_gradient, \.oracleGradientCode, -1...1,
        "whether the policy's gradient sees the oracle's slope; -1 as published"),
    .init(
        "curvature", \.curvature, \.curvatureCode, 0...1, choices: "inverse,identity",
        "exact, residual: the inverse Hessian, or the identity in its place"),
    .init(
        "alignment", \.alignment, \.alignmentCode, 0...2, choices: "mean,own,unit",
        "exact, residual: the labels' mean reward gradient, the action's own, or alignment 1"),
    .init(
        "estimator", \.estimator, \.estimatorCode, 0...1, choices: "ridge,kalman",
        "residual: how utility is estimated from labels"),
    .init(
        "estimator_buffer", \.estimator_buffer, \.estimatorBuffer, 0...most,
        "residual, ridge: newest labels that it is fitted to; 0 for the environment's label_buffer"),
    .init(
        "estimator_gradient", \.estimator_gradient, \.estimatorGradientCode, 0...1,
        "residual: whether the policy's gradient sees the estimate's slope"),
    .init(
        "damping", \.damping, \.damping, .leastNonzeroMagnitude...1e12,
        "delta, what is added to the diagonal of the Gauss-Newton Hessian"),
    .init(
        "kappa", \.kappa, \.kappa, .leastNonzeroMagnitude...1e12,
        "residual, ridge: what is added to the labels' scatter, in squared units of the action"),
    .init(
        "estimator_curvature", \.estimator_curvature, \.estimatorCurvatureCode, 0...1,
        "residual, kalman: whether the filter estimates a curvature beside level and slope"),
    .init(
        "utility_scale", \.utility_scale, \.filter.utilityScale, .leastNonzeroMagnitude...1e6,
        "residual, kalman: prior standard deviation of utility; overstate it"),
    .init(
        "length_scale", \.length_scale, \.filter.lengthScale, .leastNonzeroMagnitude...1e6,
        "residual, kalman: distance over which utility varies by its scale"),
    .init(
        "noise_scale", \.noise_scale, \.filter.noiseScale, .leastNonzeroMagnitude...1e6,
        "residual, kalman: first guess of the standard deviation of a label's noise"),
    .init(
        "noise_memory", \.noise_memory, \.filter.noiseMemory, 0...1,
        "residual, kalman: weight of a new label in the estimate of the noise"),
]

func environmentInfo(_ defaults: Environment) -> [fpo_parameter] {
    let hidden = fpo_parameter(
        name: ("hidden" as StaticString).cString,
        doc: ("units of each hidden layer of an MLP" as StaticString).cString,
        choices: nil, default_value: defaults.hidden.first.map(Double.init) ?? 0, minimum: 1,
        maximum: most, offset: UInt32(MemoryLayout<fpo_environment>.offset(of: \.hidden)!),
        type: Int32(FPO_TYPE_INT32), count: FPO_MAX_HIDDEN)
    return environmentParameters.map { $0.describe(defaults) } + [hidden]
}

extension fpo_environment {
    init(_ environment: Environment) {
        self.init()
        for parameter in environmentParameters { parameter.write(environment, into: &self) }
        hidden_count = Int32(environment.hidden.count)
        withUnsafeMutableBytes(of: &hidden) { bytes in
            let hidden = bytes.bindMemory(to: Int32.self)
            for (l, width) in environment.hidden.enumerated() { hidden[l] = Int32(width) }
        }
    }
}

extension Environment {
    /// The environment that `c` describes, every field checked.
    init(_ pointer: UnsafePointer<fpo_environment>?) throws(Failure) {
        // A caller's struct says which defaults stand for what it does not know.
        let c = try read(pointer, over: fpo_environment(.neural), "environment")
        self.init()
        for parameter in environmentParameters {
            try parameter.read(c, into: &self, "environment")
        }
        try require(c.reserved == 0, FPO_ERR_DOMAIN, "environment.reserved: must be 0")
        let layers = 0...Int32(FPO_MAX_HIDDEN)
        try require(
            layers.contains(c.hidden_count), FPO_ERR_DOMAIN,
            "environment.hidden_count: \(c.hidden_count), but must be 0 to \(FPO_MAX_HIDDEN)")
        try require(
            (c.hidden_count == 0) == (rewardModel == .linear), FPO_ERR_SHAPE,
            "environment.hidden_count: \(c.hidden_count), but a linear reward model has no hidden "
                + "layer and an MLP at least one")
        let widths = withUnsafeBytes(of: c.hidden) {
            Array($0.bindMemory(to: Int32.self).prefix(Int(c.hidden_count)))
        }
        for (l, width) in widths.enumerated() {
            try require(
                width >= 1 && Double(width) <= most, FPO_ERR_DOMAIN,
                "environment.hidden[\(l)]: \(width), but must be >= 1 and <= \(Int(most))")
        }
        hidden = widths.map(Int.init)
        try require(
            signalDimension < dimension, FPO_ERR_SHAPE,
            "environment.signal_dimension: \(signalDimension), but must be less than the "
                + "dimension, \(dimension)")
        try require(
            labelBuffer >= labelsPerRound, FPO_ERR_SHAPE,
            "environment.label_buffer: \(labelBuffer), but must hold at least the "
                + "\(labelsPerRound) labels of a round")
    }
}

@c @implementation
public func fpo_environment_init(
    _ environment: UnsafeMutablePointer<fpo_environment>?, _ structSize: UInt32, _ config: Int32
) -> Int32 {
    boundary { () throws(Failure) in
        let defaults: Environment
        switch Int(config) {
        case FPO_CONFIG_ENVIRONMENT_LINEAR: defaults = .linear
        case FPO_CONFIG_ENVIRONMENT_NEURAL: defaults = .neural
        default:
            throw Failure(
                FPO_ERR_DOMAIN, "config: \(config), but must be FPO_CONFIG_ENVIRONMENT_...")
        }
        try fill(environment, structSize, with: fpo_environment(defaults), "fpo_environment")
    }
}

@c @implementation
public func fpo_penalty_init(
    _ penalty: UnsafeMutablePointer<fpo_penalty>?, _ structSize: UInt32, _ kind: Int32
) -> Int32 {
    boundary { () throws(Failure) in
        let kind = try SteeringPenalty.Kind(rawValue: Int(kind)).orThrow(
            FPO_ERR_DOMAIN, "kind: \(kind), but must be one of FPO_PENALTY_...")
        try fill(penalty, structSize, with: fpo_penalty(SteeringPenalty(kind)), "fpo_penalty")
    }
}

extension fpo_penalty {
    init(_ penalty: SteeringPenalty) {
        self.init()
        for parameter in penaltyParameters { parameter.write(penalty, into: &self) }
    }
}

extension SteeringPenalty {
    /// The penalty that `c` describes, every field checked.
    init(_ pointer: UnsafePointer<fpo_penalty>?) throws(Failure) {
        let c = try read(pointer, over: fpo_penalty(SteeringPenalty(.myopic)), "penalty")
        self.init(.myopic)
        for parameter in penaltyParameters { try parameter.read(c, into: &self, "penalty") }
        try require(c.reserved == 0, FPO_ERR_DOMAIN, "penalty.reserved: must be 0")
    }
}

extension Optional {
    func orThrow(_ status: Int, _ message: @autoclosure () -> String) throws(Failure) -> Wrapped {
        guard let self else { throw Failure(status, message()) }
        return self
    }
}

// Enumerations as the numbers that C knows. A number out of range never comes here: bounds are
// checked first.

extension Environment {
    var rewardModelCode: Int {
        get { rewardModel.rawValue }
        set { rewardModel = RewardModel(rawValue: newValue)! }
    }
    var rewardBiasCode: Int {
        get { rewardBias ? 1 : 0 }
        set { rewardBias = newValue == 1 }
    }
    var precisionCode: Int {
        get { precision.rawValue }
        set { precision = Precision(rawValue: newValue)! }
    }
    var gradientCode: Int {
        get { gradient.rawValue }
        set { gradient = Gradient(rawValue: newValue)! }
    }
    var optimizerCode: Int {
        get { optimizer.rawValue }
        set { optimizer = Optimizer(rawValue: newValue)! }
    }
}

extension SteeringPenalty {
    var kindCode: Int {
        get { kind.rawValue }
        set { kind = Kind(rawValue: newValue)! }
    }
    var oracleGradientCode: Int {
        get { oracleGradient.rawValue }
        set { oracleGradient = OracleGradient(rawValue: newValue)! }
    }
    var curvatureCode: Int {
        get { curvature.rawValue }
        set { curvature = Curvature(rawValue: newValue)! }
    }
    var alignmentCode: Int {
        get { alignment.rawValue }
        set { alignment = Alignment(rawValue: newValue)! }
    }
    var estimatorCode: Int {
        get { estimator.rawValue }
        set { estimator = Estimator(rawValue: newValue)! }
    }
    var estimatorGradientCode: Int {
        get { estimatorGradient ? 1 : 0 }
        set { estimatorGradient = newValue == 1 }
    }
    var estimatorCurvatureCode: Int {
        get { filter.estimatesCurvature ? 1 : 0 }
        set { filter.estimatesCurvature = newValue == 1 }
    }
}
