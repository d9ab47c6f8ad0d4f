import CFPO
import FPOModels
import FPONumerics
import FPOTraining

/// An adapter and what its optimiser remembers. One thread at a time is inside (``Handle``).
final class LoRAState: TrainedVector, @unchecked Sendable {
    static let noun = "adapter"
    static let magic = (
        UInt8(ascii: "f"), UInt8(ascii: "L"), UInt8(ascii: "R"), UInt8(ascii: "1")
    )
    let adapter: LoRAAdapter
    let optimizer: VectorOptimizer
    var optimizerKind: Int32 = -1

    init(_ adapter: LoRAAdapter) {
        self.adapter = adapter
        optimizer = VectorOptimizer(count: adapter.count)
    }

    var parameters: Matrix<Float> { adapter.parameters }
    var gradient: Matrix<Float> { adapter.gradient }
    var shape: (Int32, Int32) {
        (Int32(adapter.configuration.rank), Int32(adapter.configuration.targets.rawValue))
    }
    func parametersChanged() { adapter.invalidate() }
}

typealias LoRAHandle = Handle<LoRAState>

/// Runs the body of a function on an adapter.
private func use(
    _ lora: OpaquePointer?, _ body: (LoRAState) throws(Failure) -> Void
) -> Int32 {
    boundary { () throws(Failure) in try LoRAHandle.use(lora, "lora", body) }
}

private var defaults: fpo_lora_config {
    let d = LoRAConfiguration()
    return fpo_lora_config(
        struct_size: UInt32(MemoryLayout<fpo_lora_config>.size), rank: Int32(d.rank),
        targets: Int32(d.targets.rawValue), rslora: d.rankStabilized ? 1 : 0,
        recompute: d.recompute ? 1 : 0, reserved: 0, alpha: d.alpha, dropout: d.dropout)
}

@c @implementation
public func fpo_lora_config_init(
    _ config: UnsafeMutablePointer<fpo_lora_config>?, _ struct_size: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(config, struct_size, with: defaults, "fpo_lora_config")
    }
}

extension LoRAConfiguration {
    fileprivate init(_ c: fpo_lora_config) throws(Failure) {
        self.init()
        try require(
            c.rank >= 1 && c.rank <= 1024, FPO_ERR_DOMAIN,
            "config.rank: \(c.rank), but must be 1 to 1024")
        try require(
            c.targets >= 1 && Int(c.targets) <= FPO_LORA_ALL, FPO_ERR_DOMAIN,
            "config.targets: \(c.targets), but must be a sum of FPO_LORA_ constants")
        try requireFlag(c.rslora, "config.rslora")
        try requireFlag(c.recompute, "config.recompute")
        try require(c.reserved == 0, FPO_ERR_DOMAIN, "config.reserved: must be 0")
        try requirePositive(c.alpha, "config.alpha")
        try requireFinite(c.dropout, "config.dropout")
        try require(
            c.dropout >= 0 && c.dropout < 1, FPO_ERR_DOMAIN,
            "config.dropout: \(c.dropout), but must be in [0, 1)")
        rank = Int(c.rank)
        targets = Targets(rawValue: Int(c.targets))
        rankStabilized = c.rslora == 1
        recompute = c.recompute == 1
        alpha = c.alpha
        dropout = c.dropout
    }
}

@c @implementation
public func fpo_lora_create(
    _ model: OpaquePointer?, _ config: UnsafePointer<fpo_lora_config>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let model = try finishedModel(model)
        let configuration = try LoRAConfiguration(read(config, over: defaults, "config"))
        let out = try unwrap(out, "out")
        let adapter = try attempt { () throws(NumericsError) in
            try LoRAAdapter(model, configuration)
        }
        out.pointee = LoRAHandle.create(LoRAState(adapter))
    }
}

@c @implementation
public func fpo_lora_destroy(_ lora: OpaquePointer?) { LoRAHandle.destroy(lora) }

// MARK: Parameters

@c @implementation
public func fpo_lora_parameter_count(
    _ lora: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        try unwrap(out, "out").pointee = Int64(state.adapter.count)
    }
}

@c @implementation
public func fpo_lora_tensor(
    _ lora: OpaquePointer?, _ index: Int32, _ out: UnsafeMutablePointer<fpo_tensor>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        try describe(state.adapter.tensors, index, out, "adapter")
    }
}

@c @implementation
public func fpo_lora_initialize(_ lora: OpaquePointer?, _ key: UInt64) -> Int32 {
    use(lora) { state throws(Failure) in
        try attempt { () throws(NumericsError) in
            try state.adapter.initialize(RandomKey(value: key))
        }
    }
}

@c @implementation
public func fpo_lora_get_parameters(
    _ lora: OpaquePointer?, _ out: UnsafeMutablePointer<Float>?
) -> Int32 {
    use(lora) { state throws(Failure) in try state.getParameters(out) }
}

@c @implementation
public func fpo_lora_set_parameters(
    _ lora: OpaquePointer?, _ parameters: UnsafePointer<Float>?
) -> Int32 {
    use(lora) { state throws(Failure) in try state.setParameters(parameters) }
}

// MARK: Training

@c @implementation
public func fpo_lora_get_gradient(
    _ lora: OpaquePointer?, _ out: UnsafeMutablePointer<Float>?
) -> Int32 {
    use(lora) { state throws(Failure) in try state.getGradient(out) }
}

@c @implementation
public func fpo_lora_set_gradient(
    _ lora: OpaquePointer?, _ gradient: UnsafePointer<Float>?
) -> Int32 {
    use(lora) { state throws(Failure) in try state.setGradient(gradient) }
}

@c @implementation
public func fpo_lora_scale_gradient(_ lora: OpaquePointer?, _ factor: Double) -> Int32 {
    use(lora) { state throws(Failure) in try state.scaleGradient(factor) }
}

@c @implementation
public func fpo_lora_gradient_norm(
    _ lora: OpaquePointer?, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(lora) { state throws(Failure) in try state.getGradientNorm(out) }
}

@c @implementation
public func fpo_lora_step(
    _ lora: OpaquePointer?, _ config: UnsafePointer<fpo_optimizer_config>?
) -> Int32 {
    use(lora) { state throws(Failure) in try state.step(config) }
}

@c @implementation
public func fpo_lora_save(
    _ lora: OpaquePointer?, _ buffer: UnsafeMutableRawPointer?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    use(lora) { state throws(Failure) in try state.save(buffer, capacity, needed) }
}

@c @implementation
public func fpo_lora_load(
    _ lora: OpaquePointer?, _ bytes: UnsafeRawPointer?, _ size: Int
) -> Int32 {
    use(lora) { state throws(Failure) in try state.load(bytes, size) }
}
