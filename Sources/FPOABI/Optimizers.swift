import CFPO
import FPONumerics
import FPOTraining

/// An optimiser, the vectors that it remembers and the number of steps that it has made. One
/// thread at a time is inside (``Handle``).
private final class OptimizerState: @unchecked Sendable {
    var config: fpo_optimizer_config
    var rule: any Optimizer<Double>
    let count: Int
    var steps = 0
    let memory: Buffer<Double>

    init(
        _ config: fpo_optimizer_config, _ rule: any Optimizer<Double>, count: Int
    ) throws(NumericsError) {
        self.config = config
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
            try OptimizerState(config, rule, count: count)
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
public func fpo_optimizer_set_learning_rate(
    _ optimizer: OpaquePointer?, _ learning_rate: Double
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<OptimizerState>.use(optimizer, "optimizer") { state throws(Failure) in
            var config = state.config
            config.learning_rate = learning_rate
            state.rule = try optimizerRule(config, of: Double.self)
            state.config = config
        }
    }
}

// MARK: Saving

/// What stands before the moments of a saved optimiser.
private struct SavedOptimizer: BitwiseCopyable {
    static let magic: UInt64 = 0x3130_4F5F_4F50_465F  // "_FPO_O01"

    var magic = SavedOptimizer.magic
    var steps: UInt64
    var count: UInt64
    var moments: UInt64
}

@c @implementation
public func fpo_optimizer_save(
    _ optimizer: OpaquePointer?, _ buffer: UnsafeMutableRawPointer?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<OptimizerState>.use(optimizer, "optimizer") { state throws(Failure) in
            let head = MemoryLayout<SavedOptimizer>.size
            let size = head + 8 * state.count * state.rule.momentCount
            needed?.pointee = size
            guard let buffer else {
                try require(capacity == 0, FPO_ERR_NULL, "buffer: NULL")
                try require(needed != nil, FPO_ERR_NULL, "needed: NULL, and so is buffer")
                return
            }
            try require(
                capacity >= size, FPO_ERR_SHAPE,
                "capacity: \(UInt(bitPattern: capacity)) bytes, but \(size) are needed")
            let header = SavedOptimizer(
                steps: UInt64(state.steps), count: UInt64(state.count),
                moments: UInt64(state.rule.momentCount))
            buffer.storeBytes(of: header, as: SavedOptimizer.self)
            (buffer + head).copyMemory(from: state.memory.base, byteCount: size - head)
        }
    }
}

@c @implementation
public func fpo_optimizer_load(
    _ optimizer: OpaquePointer?, _ bytes: UnsafeRawPointer?, _ size: Int
) -> Int32 {
    boundary { () throws(Failure) in
        let bytes = try unwrap(bytes, "bytes")
        try Handle<OptimizerState>.use(optimizer, "optimizer") { state throws(Failure) in
            let head = MemoryLayout<SavedOptimizer>.size
            try require(
                size >= head, FPO_ERR_FORMAT, "bytes: \(size) of them are no saved optimiser")
            let header = bytes.loadUnaligned(as: SavedOptimizer.self)
            try require(
                header.magic == SavedOptimizer.magic, FPO_ERR_FORMAT,
                "bytes: not a saved optimiser of this version")
            try require(
                header.count == UInt64(state.count)
                    && header.moments == UInt64(state.rule.momentCount),
                FPO_ERR_FORMAT, "bytes: saved from an optimiser of another kind or count")
            try require(
                size == head + 8 * state.count * state.rule.momentCount
                    && header.steps < 1 << 62,
                FPO_ERR_FORMAT, "bytes: truncated or damaged")
            state.steps = Int(header.steps)
            UnsafeMutableRawPointer(state.memory.base)
                .copyMemory(from: bytes + head, byteCount: size - head)
        }
    }
}

@c @implementation
public func fpo_optimizer_destroy(_ optimizer: OpaquePointer?) {
    Handle<OptimizerState>.destroy(optimizer)
}
