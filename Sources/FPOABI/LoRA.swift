import CFPO
import FPOModels
import FPONumerics
import FPOTraining

/// An adapter and what its optimiser remembers. One thread at a time is inside (``Handle``).
final class LoRAState: @unchecked Sendable {
    let adapter: LoRAAdapter
    let optimizer: LoRAOptimizer
    /// Of the steps so far; -1 before the first.
    var optimizerKind: Int32 = -1

    init(_ adapter: LoRAAdapter) {
        self.adapter = adapter
        optimizer = LoRAOptimizer(count: adapter.count)
    }
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
    use(lora) { state throws(Failure) in
        let values = state.adapter.parameters
        try unwrap(out, "out").update(from: values.base, count: values.count)
    }
}

@c @implementation
public func fpo_lora_set_parameters(
    _ lora: OpaquePointer?, _ parameters: UnsafePointer<Float>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        let values = state.adapter.parameters
        let given = try finiteInput(parameters, count: values.count, "parameters")
        state.adapter.invalidate()
        values.base.update(from: given, count: values.count)
    }
}

// MARK: Gradient

@c @implementation
public func fpo_lora_get_gradient(
    _ lora: OpaquePointer?, _ out: UnsafeMutablePointer<Float>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        let gradient = state.adapter.gradient
        try unwrap(out, "out").update(from: gradient.base, count: gradient.count)
    }
}

@c @implementation
public func fpo_lora_set_gradient(
    _ lora: OpaquePointer?, _ gradient: UnsafePointer<Float>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        let own = state.adapter.gradient
        guard gradient != nil else { return own.fill(0) }
        let given = try finiteInput(gradient, count: own.count, "gradient")
        own.base.update(from: given, count: own.count)
    }
}

@c @implementation
public func fpo_lora_scale_gradient(_ lora: OpaquePointer?, _ factor: Double) -> Int32 {
    use(lora) { state throws(Failure) in
        try requireFinite(factor, "factor")
        state.adapter.scaleGradient(Float(factor))
    }
}

@c @implementation
public func fpo_lora_gradient_norm(
    _ lora: OpaquePointer?, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        let out = try unwrap(out, "out")
        out.pointee = try attempt { () throws(NumericsError) in
            try state.adapter.gradientNorm()
        }
    }
}

@c @implementation
public func fpo_lora_step(
    _ lora: OpaquePointer?, _ config: UnsafePointer<fpo_optimizer_config>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        let config = try read(config, over: optimizerDefaults, "config")
        let rule = try optimizerRule(config, of: Float.self)
        try require(
            state.optimizerKind == -1 || state.optimizerKind == config.kind, FPO_ERR_STATE,
            "config.kind: \(config.kind), but this adapter's steps so far are of kind "
                + "\(state.optimizerKind)")
        try require(
            state.optimizer.steps == 0 || state.optimizer.momentCount == rule.momentCount,
            FPO_ERR_STATE, "config.momentum: must not become or cease to be 0 between steps")
        let gradient = state.adapter.gradient
        try requireFinite(gradient.base, 1, gradient.count, gradient.count, "the gradient")
        try attempt { () throws(NumericsError) in
            try state.optimizer.step(rule, state.adapter)
        }
        state.optimizerKind = config.kind
    }
}

// MARK: Saved state

/// What precedes the parameters and moments in saved bytes.
private struct SavedHeader {
    var magic = (UInt8(ascii: "f"), UInt8(ascii: "L"), UInt8(ascii: "R"), UInt8(ascii: "1"))
    var kind: Int32
    var rank, targets: Int32
    var momentCount: Int32
    var count, steps: Int64

    init(_ state: LoRAState) {
        kind = state.optimizerKind
        rank = Int32(state.adapter.configuration.rank)
        targets = Int32(state.adapter.configuration.targets.rawValue)
        momentCount = Int32(state.optimizer.momentCount)
        count = Int64(state.adapter.count)
        steps = Int64(state.optimizer.steps)
    }

    /// Whether bytes with this header belong to an adapter like the one of `other`.
    func fits(_ other: SavedHeader) -> Bool {
        magic == other.magic && rank == other.rank && targets == other.targets
            && count == other.count && kind >= -1 && Int(kind) <= FPO_OPTIMIZER_ADAMW
            && steps >= 0 && momentCount >= 0 && momentCount <= 2
            && (kind == -1) == (steps == 0)
    }

    var floats: Int { Int(count) * (1 + Int(momentCount)) }
    static let size = MemoryLayout<SavedHeader>.size
}

@c @implementation
public func fpo_lora_save(
    _ lora: OpaquePointer?, _ buffer: UnsafeMutableRawPointer?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    use(lora) { state throws(Failure) in
        var header = SavedHeader(state)
        let size = SavedHeader.size + 4 * header.floats
        if capacity != 0 {
            let out = try unwrap(buffer, "buffer")
            try require(
                capacity < 0 || capacity >= size, FPO_ERR_SHAPE,
                "capacity: \(capacity), but the state takes \(size) bytes")
            out.copyMemory(from: &header, byteCount: SavedHeader.size)
            let values = state.adapter.parameters, moments = state.optimizer.moments
            let floats = out + SavedHeader.size
            floats.copyMemory(from: values.base, byteCount: 4 * values.count)
            if let base = moments.baseAddress {
                (floats + 4 * values.count).copyMemory(from: base, byteCount: 4 * moments.count)
            }
        }
        needed?.pointee = size
    }
}

@c @implementation
public func fpo_lora_load(
    _ lora: OpaquePointer?, _ bytes: UnsafeRawPointer?, _ size: Int
) -> Int32 {
    use(lora) { state throws(Failure) in
        let bytes = try unwrap(bytes, "bytes")
        try require(
            size >= SavedHeader.size, FPO_ERR_FORMAT, "bytes: \(size), too few for an adapter")
        let header = bytes.loadUnaligned(as: SavedHeader.self)
        let own = SavedHeader(state)
        try require(
            header.fits(own) && size == SavedHeader.size + 4 * header.floats, FPO_ERR_FORMAT,
            "bytes: not saved by an adapter of rank \(own.rank), targets \(own.targets) and "
                + "\(own.count) parameters")
        let floats = try attempt { () throws(NumericsError) in try Buffer<Float>(header.floats) }
        UnsafeMutableRawPointer(floats.base).copyMemory(
            from: bytes + SavedHeader.size, byteCount: 4 * header.floats)
        try requireFinite(floats.base, 1, header.floats, header.floats, "bytes")
        try attempt { () throws(NumericsError) in
            try state.optimizer.restore(
                steps: Int(header.steps), momentCount: Int(header.momentCount),
                moments: floats.base + state.adapter.count)
        }
        state.optimizerKind = header.kind
        state.adapter.invalidate()
        state.adapter.parameters.base.update(from: floats.base, count: state.adapter.count)
    }
}
