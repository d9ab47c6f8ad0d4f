import CFPO
import FPOModels
import FPONumerics
import FPOTraining

/// A text reward, its gradient and what its optimiser remembers. One thread at a time is inside
/// (``Handle``).
private final class TextRewardState: TrainedVector, @unchecked Sendable {
    static let noun = "reward"
    static let magic = (
        UInt8(ascii: "f"), UInt8(ascii: "T"), UInt8(ascii: "R"), UInt8(ascii: "1")
    )
    let reward: TextReward
    let gradient: Matrix<Float>
    let optimizer: VectorOptimizer
    var optimizerKind: Int32 = -1
    private let memory: Buffer<Float>

    init(_ reward: TextReward) throws(NumericsError) {
        self.reward = reward
        memory = try Buffer(reward.count)
        gradient = Matrix(base: memory.base, rows: 1, columns: reward.count)
        optimizer = VectorOptimizer(count: reward.count)
    }

    var parameters: Matrix<Float> { reward.values }
    var shape: (Int32, Int32) {
        (Int32(reward.parameters.count), Int32(reward.encoder.configuration.blocks))
    }
    func parametersChanged() { reward.parametersChanged() }
}

/// Runs the body of a function on a text reward.
private func use(
    _ reward: OpaquePointer?, _ body: (TextRewardState) throws(Failure) -> Void
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<TextRewardState>.use(reward, "reward", body)
    }
}

private var defaults: fpo_text_reward_config {
    let head = RewardHead()
    return fpo_text_reward_config(
        struct_size: UInt32(MemoryLayout<fpo_text_reward_config>.size),
        pooler: Int32(FPO_POOLER_MEAN), trainable: Int32(FPO_TRAINABLE_HEAD), blocks: 1, rank: 16,
        head_bias: head.bias ? 1 : 0, head_hidden: Int32(head.hidden),
        head_act: head.activation.rawValue, alpha: 32, head_scale: 0.02)
}

@c @implementation
public func fpo_text_reward_config_init(
    _ config: UnsafeMutablePointer<fpo_text_reward_config>?, _ struct_size: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(config, struct_size, with: defaults, "fpo_text_reward_config")
    }
}

private func trainable(
    _ config: fpo_text_reward_config, _ blocks: Int
) throws(Failure) -> Trainable {
    switch Int(config.trainable) {
    case FPO_TRAINABLE_HEAD: return .head
    case FPO_TRAINABLE_ALL: return .all
    case FPO_TRAINABLE_BLOCKS:
        try require(
            config.blocks >= 1 && config.blocks <= blocks, FPO_ERR_DOMAIN,
            "config.blocks: \(config.blocks), but must be 1 to \(blocks)")
        return .blocks(Int(config.blocks))
    case FPO_TRAINABLE_LORA:
        try require(
            config.rank >= 1 && config.rank <= 1024, FPO_ERR_DOMAIN,
            "config.rank: \(config.rank), but must be 1 to 1024")
        try requirePositive(config.alpha, "config.alpha")
        return .lora(rank: Int(config.rank), alpha: config.alpha)
    default:
        throw Failure(
            FPO_ERR_DOMAIN,
            "config.trainable: \(config.trainable), but must be an FPO_TRAINABLE_ constant")
    }
}

@c @implementation
public func fpo_text_reward_create(
    _ encoder: OpaquePointer?, _ config: UnsafePointer<fpo_text_reward_config>?, _ key: UInt64,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let encoder = try finishedEncoder(encoder)
        let config = try read(config, over: defaults, "config")
        let out = try unwrap(out, "out")
        let pooler = try checkedPooler(config.pooler, "config.pooler", encoder.configuration)
        let trainable = try trainable(config, encoder.configuration.blocks)
        var head = RewardHead()
        try requireFlag(config.head_bias, "config.head_bias")
        head.bias = config.head_bias == 1
        try require(
            config.head_hidden >= 0 && config.head_hidden <= 1 << 16, FPO_ERR_DOMAIN,
            "config.head_hidden: \(config.head_hidden), but must be 0 to 65536")
        head.hidden = Int(config.head_hidden)
        head.activation = try activation(config.head_act, "head_act")
        try requireNonnegative(config.head_scale, "config.head_scale")
        let complete = head
        let state = try attempt { () throws(NumericsError) in
            try TextRewardState(
                try TextReward(
                    encoder, pooler: pooler, head: complete, trainable: trainable,
                    key: RandomKey(value: key), headScale: config.head_scale))
        }
        out.pointee = Handle.create(state)
    }
}

@c @implementation
public func fpo_text_reward_destroy(_ reward: OpaquePointer?) {
    Handle<TextRewardState>.destroy(reward)
}

// MARK: Parameters

@c @implementation
public func fpo_text_reward_parameter_count(
    _ reward: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    use(reward) { state throws(Failure) in
        try unwrap(out, "out").pointee = Int64(state.reward.count)
    }
}

@c @implementation
public func fpo_text_reward_tensor(
    _ reward: OpaquePointer?, _ index: Int32, _ out: UnsafeMutablePointer<fpo_tensor>?
) -> Int32 {
    use(reward) { state throws(Failure) in
        try describe(state.reward.parameters, index, out, "reward")
    }
}

@c @implementation
public func fpo_text_reward_get_parameters(
    _ reward: OpaquePointer?, _ out: UnsafeMutablePointer<Float>?
) -> Int32 {
    use(reward) { state throws(Failure) in try state.getParameters(out) }
}

@c @implementation
public func fpo_text_reward_set_parameters(
    _ reward: OpaquePointer?, _ parameters: UnsafePointer<Float>?
) -> Int32 {
    use(reward) { state throws(Failure) in try state.setParameters(parameters) }
}

// MARK: Evaluation

@c @implementation
public func fpo_text_reward_scores(
    _ reward: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ types: UnsafePointer<Int32>?,
    _ scores: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(reward) { state throws(Failure) in
        let batch = try checkedTexts(
            n, offsets, tokens, types, state.reward.encoder.configuration)
        let scores = try output(scores, count: n, "scores")
        try attempt { () throws(NumericsError) in try state.reward.scores(batch, into: scores) }
    }
}

@c @implementation
public func fpo_text_reward_features(
    _ reward: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ types: UnsafePointer<Int32>?,
    _ features: UnsafeMutablePointer<Float>?, _ ld: Int
) -> Int32 {
    use(reward) { state throws(Failure) in
        let c = state.reward.encoder.configuration
        let batch = try checkedTexts(n, offsets, tokens, types, c)
        let out = try floatRows(features, n, c.hidden, ld: ld, "features")
        try attempt { () throws(NumericsError) in try state.reward.scores(batch, features: out) }
    }
}

// MARK: Training

@c @implementation
public func fpo_text_reward_forward(
    _ reward: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ types: UnsafePointer<Int32>?, _ dropout: Double,
    _ key: UInt64, _ scores: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(reward) { state throws(Failure) in
        let batch = try checkedTexts(
            n, offsets, tokens, types, state.reward.encoder.configuration)
        try requireFinite(dropout, "dropout")
        try require(
            dropout >= 0 && dropout < 1, FPO_ERR_DOMAIN,
            "dropout: \(dropout), but must be in [0, 1)")
        let scores = try output(scores, count: n, "scores")
        try attempt { () throws(NumericsError) in
            try state.reward.forward(
                batch, dropout: dropout, key: RandomKey(value: key), into: scores)
        }
    }
}

@c @implementation
public func fpo_text_reward_backward(
    _ reward: OpaquePointer?, _ coefficients: UnsafePointer<Double>?
) -> Int32 {
    use(reward) { state throws(Failure) in
        guard let n = state.reward.keptCount else {
            throw Failure(
                FPO_ERR_STATE,
                "reward: no forward pass to go back through, or the parameters changed since")
        }
        let coefficients = try finiteInput(coefficients, count: n, "coefficients")
        try attempt { () throws(NumericsError) in
            try state.reward.backward(coefficients, into: state.gradient.base)
        }
    }
}

@c @implementation
public func fpo_text_reward_get_gradient(
    _ reward: OpaquePointer?, _ out: UnsafeMutablePointer<Float>?
) -> Int32 {
    use(reward) { state throws(Failure) in try state.getGradient(out) }
}

@c @implementation
public func fpo_text_reward_set_gradient(
    _ reward: OpaquePointer?, _ gradient: UnsafePointer<Float>?
) -> Int32 {
    use(reward) { state throws(Failure) in try state.setGradient(gradient) }
}

@c @implementation
public func fpo_text_reward_scale_gradient(_ reward: OpaquePointer?, _ factor: Double) -> Int32 {
    use(reward) { state throws(Failure) in try state.scaleGradient(factor) }
}

@c @implementation
public func fpo_text_reward_gradient_norm(
    _ reward: OpaquePointer?, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    use(reward) { state throws(Failure) in try state.getGradientNorm(out) }
}

@c @implementation
public func fpo_text_reward_step(
    _ reward: OpaquePointer?, _ config: UnsafePointer<fpo_optimizer_config>?
) -> Int32 {
    use(reward) { state throws(Failure) in try state.step(config) }
}

@c @implementation
public func fpo_text_reward_save(
    _ reward: OpaquePointer?, _ buffer: UnsafeMutableRawPointer?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    use(reward) { state throws(Failure) in try state.save(buffer, capacity, needed) }
}

@c @implementation
public func fpo_text_reward_load(
    _ reward: OpaquePointer?, _ bytes: UnsafeRawPointer?, _ size: Int
) -> Int32 {
    use(reward) { state throws(Failure) in try state.load(bytes, size) }
}

// MARK: Gradients of single texts

@c @implementation
public func fpo_text_reward_gram(
    _ reward: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ types: UnsafePointer<Int32>?,
    _ gram: UnsafeMutablePointer<Double>?, _ ld: Int
) -> Int32 {
    use(reward) { state throws(Failure) in
        let batch = try checkedTexts(
            n, offsets, tokens, types, state.reward.encoder.configuration)
        let base = try output(gram, n, n, ld: ld, "gram")
        try attempt { () throws(NumericsError) in
            try state.reward.gram(
                batch, into: MutableRows(base: base, columns: n, leadingDimension: ld))
        }
    }
}

@c @implementation
public func fpo_text_reward_gradients(
    _ reward: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ types: UnsafePointer<Int32>?,
    _ gradients: UnsafeMutablePointer<Float>?, _ ld: Int
) -> Int32 {
    use(reward) { state throws(Failure) in
        let batch = try checkedTexts(
            n, offsets, tokens, types, state.reward.encoder.configuration)
        let out = try floatRows(gradients, n, state.reward.count, ld: ld, "gradients")
        try attempt { () throws(NumericsError) in try state.reward.gradients(batch, into: out) }
    }
}
