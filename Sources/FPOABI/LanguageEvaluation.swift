import CFPO
import FPOModels
import FPONumerics

/// Runs `body` with a finished model and an adapter of it, which may be NULL.
private func use(
    _ model: OpaquePointer?, _ lora: OpaquePointer?,
    _ body: (LlamaModel, LoRAAdapter?) throws(Failure) -> Void
) -> Int32 {
    boundary { () throws(Failure) in
        let model = try finishedModel(model)
        guard lora != nil else { return try body(model, nil) }
        try LoRAHandle.use(lora, "lora") { state throws(Failure) in
            try requireSameModel(state.adapter, model)
            try body(model, state.adapter)
        }
    }
}

func requireSameModel(_ adapter: LoRAAdapter, _ model: LlamaModel) throws(Failure) {
    try require(
        adapter.model === model, FPO_ERR_SHAPE, "lora: it was made for another language model")
}

/// Computes per-token numbers aside and hands over those that are wanted when all are there.
private func score(
    _ count: Int, _ logP: UnsafeMutablePointer<Double>?, _ entropy: UnsafeMutablePointer<Double>?,
    _ greedy: UnsafeMutablePointer<Int32>?,
    _ body: (
        UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Int32>
    ) throws(NumericsError) -> Void
) throws(Failure) {
    try attempt { () throws(NumericsError) in
        let numbers = try Buffer<Double>(2, count), flags = try Buffer<Int32>(count)
        try body(numbers.base, numbers.base + count, flags.base)
        logP?.update(from: numbers.base, count: count)
        entropy?.update(from: numbers.base + count, count: count)
        greedy?.update(from: flags.base, count: count)
    }
}

@c @implementation
public func fpo_language_model_log_probabilities(
    _ model: OpaquePointer?, _ lora: OpaquePointer?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ log_p: UnsafeMutablePointer<Double>?,
    _ entropy: UnsafeMutablePointer<Double>?, _ greedy: UnsafeMutablePointer<Int32>?
) -> Int32 {
    use(model, lora) { model, adapter throws(Failure) in
        let batch = try checkedBatch(n, offsets, tokens, model)
        try score(batch.tokenCount, log_p, entropy, greedy) {
            logP, entropy, greedy throws(NumericsError) in
            try model.score(
                batch, adapter: adapter, logP: logP, entropy: entropy, greedy: greedy)
        }
    }
}

@c @implementation
public func fpo_language_model_continuations(
    _ model: OpaquePointer?, _ lora: OpaquePointer?, _ m: Int, _ context: UnsafePointer<Int32>?,
    _ n: Int, _ offsets: UnsafePointer<Int64>?, _ tokens: UnsafePointer<Int32>?,
    _ log_p: UnsafeMutablePointer<Double>?, _ entropy: UnsafeMutablePointer<Double>?,
    _ greedy: UnsafeMutablePointer<Int32>?
) -> Int32 {
    use(model, lora) { model, adapter throws(Failure) in
        let context = try checkedTokens(context, count: m, model, "context")
        try require(m >= 1, FPO_ERR_DOMAIN, "m: 0, but a context has a token at least")
        let longest = model.configuration.context
        try require(
            m <= longest, FPO_ERR_SHAPE,
            "m: \(m) tokens, but this model takes \(longest)")
        let batch = try checkedBatch(n, offsets, tokens, model, after: m)
        guard batch.tokenCount > 0 else { return }
        try score(batch.tokenCount, log_p, entropy, greedy) {
            logP, entropy, greedy throws(NumericsError) in
            try model.score(
                continuations: batch, of: context, adapter: adapter, logP: logP,
                entropy: entropy, greedy: greedy)
        }
    }
}

@c @implementation
public func fpo_language_model_hidden_states(
    _ model: OpaquePointer?, _ lora: OpaquePointer?, _ layer: Int32, _ pooling: Int32, _ n: Int,
    _ offsets: UnsafePointer<Int64>?, _ tokens: UnsafePointer<Int32>?,
    _ out: UnsafeMutablePointer<Float>?, _ ld: Int
) -> Int32 {
    use(model, lora) { model, adapter throws(Failure) in
        let c = model.configuration
        try require(
            layer >= 0 && layer <= c.layers, FPO_ERR_DOMAIN,
            "layer: \(layer), but must be 0 to num_hidden_layers, \(c.layers)")
        guard let pooling = LlamaModel.Pooling(rawValue: Int(pooling)) else {
            throw Failure(
                FPO_ERR_DOMAIN, "pooling: \(pooling), but must be an FPO_POOLING_ constant")
        }
        let batch = try checkedBatch(n, offsets, tokens, model)
        let rows = pooling == .all ? batch.tokenCount : n
        let base = try output(out, rows, c.hidden, ld: ld, "out")
        if pooling != .all {
            for i in 0..<n where batch[i].isEmpty {
                (base + i * ld).update(repeating: 0, count: c.hidden)
            }
        }
        try attempt { () throws(NumericsError) in
            try model.hiddenStates(
                batch, adapter: adapter, layer: Int(layer), pooling: pooling,
                MutableRows(base: base, columns: c.hidden, leadingDimension: ld))
        }
    }
}

@c @implementation
public func fpo_language_model_logits(
    _ model: OpaquePointer?, _ lora: OpaquePointer?, _ n: Int, _ tokens: UnsafePointer<Int32>?,
    _ logits: UnsafeMutablePointer<Float>?, _ ld: Int
) -> Int32 {
    use(model, lora) { model, adapter throws(Failure) in
        let c = model.configuration
        let tokens = try checkedTokens(tokens, count: n, model, "tokens")
        try require(
            n <= c.context, FPO_ERR_SHAPE,
            "n: \(n) tokens, but this model takes \(c.context)")
        let base = try output(logits, n, c.vocabulary, ld: ld, "logits")
        try attempt { () throws(NumericsError) in
            try model.logits(
                tokens, adapter: adapter,
                MutableRows(base: base, columns: c.vocabulary, leadingDimension: ld))
        }
    }
}
