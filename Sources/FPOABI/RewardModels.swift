import CFPO
import FPOModels
import FPONumerics

/// A model and its parameters. One thread at a time is inside (``Handle``).
private final class RewardModelState: @unchecked Sendable {
    let model: any SmoothRewardModel<Double>
    private let store: ParameterStore<Double>

    var parameters: Matrix<Double> { store.values }
    var count: Int { model.layout.count }
    var dimension: Int { model.dimension }

    init(_ model: any SmoothRewardModel<Double>) throws(NumericsError) {
        self.model = model
        store = try ParameterStore(model.layout)
    }

    func initialize(_ key: UInt64, scale: Double) throws(NumericsError) {
        let normal = try Double.kernels().normal
        store.initialize(scale: scale) { count, out in normal(key, count, out) }
    }
}

/// Runs the body of a function on a model.
private func use(
    _ pointer: OpaquePointer?, _ body: (RewardModelState) throws(Failure) -> Void
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<RewardModelState>.use(pointer, "model", body)
    }
}

private func create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?,
    _ model: () throws(NumericsError) -> any SmoothRewardModel<Double>
) throws(Failure) {
    let out = try unwrap(out, "out")
    let state = try attempt { () throws(NumericsError) in try RewardModelState(try model()) }
    out.pointee = Handle.create(state)
}

private func requireWidth(_ width: Int64, _ name: String) throws(Failure) -> Int {
    try require(width >= 1, FPO_ERR_DOMAIN, "\(name): \(width), but must be >= 1")
    return Int(width)
}

// MARK: Handles and parameters

@c @implementation
public func fpo_reward_model_create_linear(
    _ dimension: Int64, _ bias: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let dimension = try requireWidth(dimension, "dimension")
        try requireFlag(bias, "bias")
        try create(out) { () throws(NumericsError) in
            try LinearReward<Double>(dimension: dimension, bias: bias == 1)
        }
    }
}

/// More layers than anyone wants, and few enough that a wrong count is caught before it is
/// believed.
private let maximumDepth: Int32 = 64

@c @implementation
public func fpo_reward_model_create_mlp(
    _ dimension: Int64, _ hidden_count: Int32, _ hidden: UnsafePointer<Int64>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let dimension = try requireWidth(dimension, "dimension")
        try require(
            hidden_count >= 1 && hidden_count <= maximumDepth, FPO_ERR_DOMAIN,
            "hidden_count: \(hidden_count), but must be in [1, \(maximumDepth)]")
        let hidden = try unwrap(hidden, "hidden")
        var widths: [Int] = []
        for k in 0..<Int(hidden_count) {
            widths.append(try requireWidth(hidden[k], "hidden[\(k)]"))
        }
        let depth = widths
        try create(out) { () throws(NumericsError) in
            try MLPReward<Double>(dimension: dimension, hidden: depth)
        }
    }
}

@c @implementation
public func fpo_reward_model_destroy(_ model: OpaquePointer?) {
    Handle<RewardModelState>.destroy(model)
}

@c @implementation
public func fpo_reward_model_dimension(
    _ model: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    use(model) { state throws(Failure) in
        try unwrap(out, "out").pointee = Int64(state.dimension)
    }
}

@c @implementation
public func fpo_reward_model_parameter_count(
    _ model: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    use(model) { state throws(Failure) in
        try unwrap(out, "out").pointee = Int64(state.count)
    }
}

@c @implementation
public func fpo_reward_model_tensor(
    _ model: OpaquePointer?, _ index: Int32, _ out: UnsafeMutablePointer<fpo_tensor>?
) -> Int32 {
    use(model) { state throws(Failure) in
        try describe(state.model.layout.tensors, index, out, "model")
    }
}

@c @implementation
public func fpo_reward_model_get_parameters(
    _ model: OpaquePointer?, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(model) { state throws(Failure) in
        try unwrap(out, "out").update(from: state.parameters.base, count: state.count)
    }
}

@c @implementation
public func fpo_reward_model_set_parameters(
    _ model: OpaquePointer?, _ parameters: UnsafePointer<Double>?
) -> Int32 {
    use(model) { state throws(Failure) in
        let given = try finiteInput(parameters, count: state.count, "parameters")
        state.parameters.base.update(from: given, count: state.count)
    }
}

@c @implementation
public func fpo_reward_model_initialize(
    _ model: OpaquePointer?, _ key: UInt64, _ scale: Double
) -> Int32 {
    use(model) { state throws(Failure) in
        try requireNonnegative(scale, "scale")
        try attempt { () throws(NumericsError) in try state.initialize(key, scale: scale) }
    }
}

// MARK: Evaluation

@c @implementation
public func fpo_reward_model_reward_f64(
    _ model: OpaquePointer?, _ n: Int, _ action: UnsafePointer<Double>?, _ lda: Int,
    _ reward: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(model) { state throws(Failure) in
        let actions = try finiteInput(action, n, state.dimension, ld: lda, "action")
        let reward = try output(reward, count: n, "reward")
        try attempt { () throws(NumericsError) in
            try state.model.rewards(reward, of: actions, parameters: state.parameters)
        }
    }
}

@c @implementation
public func fpo_reward_model_slope_f64(
    _ model: OpaquePointer?, _ n: Int, _ action: UnsafePointer<Double>?, _ lda: Int,
    _ slope: UnsafeMutablePointer<Double>?, _ lds: Int
) -> Int32 {
    use(model) { state throws(Failure) in
        let actions = try finiteInput(action, n, state.dimension, ld: lda, "action")
        let slopes = try rows(slope, n, state.dimension, ld: lds, "slope")
        try attempt { () throws(NumericsError) in
            try state.model.slopes(slopes, of: actions, parameters: state.parameters)
        }
    }
}

@c @implementation
public func fpo_reward_model_gradients_f64(
    _ model: OpaquePointer?, _ n: Int, _ action: UnsafePointer<Double>?, _ lda: Int,
    _ gradients: UnsafeMutablePointer<Double>?, _ ldg: Int
) -> Int32 {
    use(model) { state throws(Failure) in
        let actions = try finiteInput(action, n, state.dimension, ld: lda, "action")
        let gradients = try rows(gradients, n, state.count, ld: ldg, "gradients")
        try attempt { () throws(NumericsError) in
            try state.model.gradients(gradients, of: actions, parameters: state.parameters)
        }
    }
}

@c @implementation
public func fpo_reward_model_gram_f64(
    _ model: OpaquePointer?, _ n: Int, _ a: UnsafePointer<Double>?, _ lda: Int, _ m: Int,
    _ b: UnsafePointer<Double>?, _ ldb: Int, _ gram: UnsafeMutablePointer<Double>?, _ ldgram: Int
) -> Int32 {
    use(model) { state throws(Failure) in
        let a = try finiteInput(a, n, state.dimension, ld: lda, "a")
        let b = try finiteInput(b, m, state.dimension, ld: ldb, "b")
        let gram = try rows(gram, n, m, ld: ldgram, "gram")
        try attempt { () throws(NumericsError) in
            try state.model.gram(gram, of: a, and: b, parameters: state.parameters)
        }
    }
}

@c @implementation
public func fpo_reward_model_loss_f64(
    _ model: OpaquePointer?, _ n: Int, _ action: UnsafePointer<Double>?, _ lda: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ label: UnsafePointer<Double>?,
    _ loss: UnsafeMutablePointer<Double>?, _ gradient: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(model) { state throws(Failure) in
        let actions = try finiteInput(action, n, state.dimension, ld: lda, "action")
        let reference = try optional(reference) { pointer throws(Failure) in
            try finiteInput(pointer, n, state.dimension, ld: ldr, "reference")
        }
        let labels = try finiteInput(label, count: n, "label")
        if reference != nil {
            for i in 0..<n {
                try require(
                    labels[i] >= 0 && labels[i] <= 1, FPO_ERR_DOMAIN,
                    "label[\(i)]: \(labels[i]), but must be in [0, 1]")
            }
        }
        let loss = try unwrap(loss, "loss")
        guard n > 0 else { return }
        try attempt { () throws(NumericsError) in
            let sum = try Buffer<Double>(state.count)
            let dParameters = Matrix(base: sum.base, rows: 1, columns: state.count)
            let mean = try state.model.meanLoss(
                dParameters: gradient == nil ? nil : dParameters, actions, reference: reference,
                labels: labels, parameters: state.parameters)
            loss.pointee = mean
            gradient?.update(from: sum.base, count: state.count)
        }
    }
}

@c @implementation
public func fpo_reward_model_steering_direction_f64(
    _ model: OpaquePointer?, _ n: Int, _ action: UnsafePointer<Double>?, _ lda: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ m: Int,
    _ policy_action: UnsafePointer<Double>?, _ ldp: Int, _ damping: Double, _ solver: Int32,
    _ tolerance: Double, _ max_iterations: Int64, _ direction: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(model) { state throws(Failure) in
        let training = try finiteInput(action, n, state.dimension, ld: lda, "action")
        let reference = try optional(reference) { pointer throws(Failure) in
            try finiteInput(pointer, n, state.dimension, ld: ldr, "reference")
        }
        let policy = try finiteInput(policy_action, m, state.dimension, ld: ldp, "policy_action")
        try requirePositive(damping, "damping")
        let method = try steeringSolver(solver, tolerance, max_iterations)
        let out = try output(direction, count: state.count, "direction")
        try attempt { () throws(NumericsError) in
            try state.model.steeringDirection(
                Matrix(base: out, rows: 1, columns: state.count), training: training,
                reference: reference, policy: policy, damping: damping, solver: method,
                parameters: state.parameters)
        }
    }
}

private func steeringSolver(
    _ solver: Int32, _ tolerance: Double, _ maximumIterations: Int64
) throws(Failure) -> SteeringSolver {
    switch Int(solver) {
    case FPO_SOLVER_GRAM:
        return .gram
    case FPO_SOLVER_CONJUGATE_GRADIENT:
        try requirePositive(tolerance, "tolerance")
        try require(
            maximumIterations >= 1, FPO_ERR_DOMAIN,
            "max_iterations: \(maximumIterations), but must be >= 1")
        return .conjugateGradient(
            tolerance: tolerance, maximumIterations: Int(maximumIterations))
    default:
        throw Failure(FPO_ERR_DOMAIN, "solver: \(solver), but must be an FPO_SOLVER_ constant")
    }
}

@c @implementation
public func fpo_reward_model_penalty_f64(
    _ model: OpaquePointer?, _ n: Int, _ action: UnsafePointer<Double>?, _ lda: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ label: UnsafePointer<Double>?,
    _ label_slope: UnsafePointer<Double>?, _ ldl: Int, _ direction: UnsafePointer<Double>?,
    _ shift_invariant: Int32, _ penalty: UnsafeMutablePointer<Double>?,
    _ slope: UnsafeMutablePointer<Double>?, _ lds: Int
) -> Int32 {
    use(model) { state throws(Failure) in
        let d = state.dimension
        let actions = try finiteInput(action, n, d, ld: lda, "action")
        var formula = RewardPenalty<Double>()
        formula.reference = try optional(reference) { pointer throws(Failure) in
            try finiteInput(pointer, n, d, ld: ldr, "reference")
        }
        formula.labels = try optional(label) { pointer throws(Failure) in
            try finiteInput(pointer, count: n, "label")
        }
        formula.labelSlopes = try optional(label_slope) { pointer throws(Failure) in
            _ = try unwrap(label, "label")
            return try finiteInput(pointer, n, d, ld: ldl, "label_slope")
        }
        formula.direction = try optional(direction) { pointer throws(Failure) in
            let base = try finiteInput(pointer, count: state.count, "direction")
            return Matrix(
                base: UnsafeMutablePointer(mutating: base), rows: 1, columns: state.count)
        }
        try requireFlag(shift_invariant, "shift_invariant")
        formula.shiftInvariant = shift_invariant == 1
        let penalties = try output(penalty, count: n, "penalty")
        let slopes = try optional(slope) { pointer throws(Failure) in
            try rows(pointer, n, d, ld: lds, "slope")
        }
        let complete = formula
        try attempt { () throws(NumericsError) in
            try evaluate(complete, penalties, slopes, actions, state.model, state.parameters)
        }
    }
}

/// Names the model's type, which the penalty is generic over.
private func evaluate<Model: SmoothRewardModel<Double>>(
    _ formula: RewardPenalty<Double>, _ penalties: UnsafeMutablePointer<Double>,
    _ slopes: MutableRows<Double>?, _ actions: Rows<Double>, _ model: Model,
    _ parameters: Matrix<Double>
) throws(NumericsError) {
    try formula(
        penalties, slopes: slopes, of: actions, model: model, parameters: parameters)
}

// MARK: Arrays

/// What `body` makes of a pointer that may be NULL.
private func optional<Pointer, Result>(
    _ pointer: Pointer?, _ body: (Pointer) throws(Failure) -> Result
) throws(Failure) -> Result? {
    guard let pointer else { return nil }
    return try body(pointer)
}

private func rows(
    _ pointer: UnsafeMutablePointer<Double>?, _ n: Int, _ columns: Int, ld: Int, _ name: String
) throws(Failure) -> MutableRows<Double> {
    let base = try output(pointer, n, columns, ld: ld, name)
    return MutableRows(base: base, columns: columns, leadingDimension: ld)
}
