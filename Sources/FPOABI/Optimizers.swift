import CFPO
import FPONumerics
import FPOTraining

/// An optimiser, the vectors that it remembers and the number of steps that it has made. One
/// thread at a time is inside (``Handle``).
private final class OptimizerState: @unchecked Sendable {
    let rule: any Optimizer<Double>
    let count: Int
    var steps = 0
    private let memory: Buffer<Double>

    init(_ rule: any Optimizer<Double>, count: Int) throws(NumericsError) {
        self.rule = rule
        self.count = count
        memory = try Buffer(rule.momentCount, count)
    }

    func step(_ parameters: UnsafeMutablePointer<Double>, _ gradient: UnsafePointer<Double>) {
        func row(_ base: UnsafeMutablePointer<Double>) -> Matrix<Double> {
            Matrix(base: base, rows: 1, columns: count)
        }
        steps += 1
        rule.step(
            steps, parameters: row(parameters),
            gradient: row(UnsafeMutablePointer(mutating: gradient)),
            moments: Matrix(base: memory.base, rows: rule.momentCount, columns: count))
    }
}

var optimizerDefaults: fpo_optimizer_config {
    let adam = Adam<Double>(), sgd = SGD<Double>()
    return fpo_optimizer_config(
        struct_size: UInt32(MemoryLayout<fpo_optimizer_config>.size),
        kind: Int32(FPO_OPTIMIZER_ADAM), learning_rate: adam.learningRate, beta1: adam.beta1,
        beta2: adam.beta2, epsilon: adam.epsilon, momentum: sgd.momentum,
        weight_decay: adam.weightDecay)
}

@c @implementation
public func fpo_optimizer_config_init(
    _ config: UnsafeMutablePointer<fpo_optimizer_config>?, _ struct_size: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(config, struct_size, with: optimizerDefaults, "fpo_optimizer_config")
    }
}

@c @implementation
public func fpo_optimizer_create(
    _ config: UnsafePointer<fpo_optimizer_config>?, _ count: Int,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let config = try read(config, over: optimizerDefaults, "config")
        let out = try unwrap(out, "out")
        try requireSize(count, "count")
        let rule = try optimizerRule(config, of: Double.self)
        let state = try attempt { () throws(NumericsError) in
            try OptimizerState(rule, count: count)
        }
        out.pointee = Handle.create(state)
    }
}

/// The rule that a config stands for, checked.
func optimizerRule<Element: Scalar>(
    _ config: fpo_optimizer_config, of: Element.Type
) throws(Failure) -> any Optimizer<Element> {
    try requirePositive(config.learning_rate, "learning_rate")
    try requireFraction(config.beta1, "beta1")
    try requireFraction(config.beta2, "beta2")
    try requirePositive(config.epsilon, "epsilon")
    try requireFraction(config.momentum, "momentum")
    try requireNonnegative(config.weight_decay, "weight_decay")
    switch Int(config.kind) {
    case FPO_OPTIMIZER_SGD:
        var sgd = SGD<Element>()
        sgd.learningRate = Element(config.learning_rate)
        sgd.momentum = Element(config.momentum)
        sgd.weightDecay = Element(config.weight_decay)
        return sgd
    case FPO_OPTIMIZER_ADAM, FPO_OPTIMIZER_ADAMW:
        var adam = Adam<Element>()
        adam.learningRate = Element(config.learning_rate)
        adam.beta1 = config.beta1
        adam.beta2 = config.beta2
        adam.epsilon = Element(config.epsilon)
        adam.weightDecay = Element(config.weight_decay)
        adam.decay = Int(config.kind) == FPO_OPTIMIZER_ADAM ? .coupled : .decoupled
        return adam
    default:
        throw Failure(
            FPO_ERR_DOMAIN, "kind: \(config.kind), but must be an FPO_OPTIMIZER_ constant")
    }
}

/// In `[0, 1)`.
private func requireFraction(_ x: Double, _ name: String) throws(Failure) {
    try requireFinite(x, name)
    try require(x >= 0 && x < 1, FPO_ERR_DOMAIN, "\(name): \(x), but must be in [0, 1)")
}

@c @implementation
public func fpo_optimizer_step(
    _ optimizer: OpaquePointer?, _ parameters: UnsafeMutablePointer<Double>?,
    _ gradient: UnsafePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<OptimizerState>.use(optimizer, "optimizer") { state throws(Failure) in
            let parameters = try output(parameters, count: state.count, "parameters")
            _ = try finiteInput(UnsafePointer(parameters), count: state.count, "parameters")
            let gradient = try finiteInput(gradient, count: state.count, "gradient")
            state.step(parameters, gradient)
        }
    }
}

@c @implementation
public func fpo_optimizer_destroy(_ optimizer: OpaquePointer?) {
    Handle<OptimizerState>.destroy(optimizer)
}
