import CFPO
import FPOModels
import FPONumerics

typealias GenerationHandle = Handle<Generation>

private var defaults: fpo_generation_config {
    let d = GenerationConfiguration()
    return fpo_generation_config(
        struct_size: UInt32(MemoryLayout<fpo_generation_config>.size),
        candidates: Int32(d.candidates), max_new_tokens: Int32(d.maximumTokens),
        min_new_tokens: Int32(d.minimumTokens), greedy: 0, top_k: Int32(d.sampling.topK),
        max_batch: Int32(d.maximumBatch), reserved: 0, temperature: Double(d.sampling.temperature),
        top_p: Double(d.sampling.topP))
}

@c @implementation
public func fpo_generation_config_init(
    _ config: UnsafeMutablePointer<fpo_generation_config>?, _ struct_size: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(config, struct_size, with: defaults, "fpo_generation_config")
    }
}

extension GenerationConfiguration {
    fileprivate init(_ c: fpo_generation_config) throws(Failure) {
        self.init()
        func number(
            _ value: Int32, _ name: String, _ range: ClosedRange<Int32>
        ) throws(Failure) -> Int {
            try require(
                range.contains(value), FPO_ERR_DOMAIN,
                "config.\(name): \(value), but must be \(range.lowerBound) to \(range.upperBound)")
            return Int(value)
        }
        candidates = try number(c.candidates, "candidates", 1...65_536)
        maximumTokens = try number(c.max_new_tokens, "max_new_tokens", 1...(1 << 24))
        minimumTokens = try number(c.min_new_tokens, "min_new_tokens", 0...c.max_new_tokens)
        maximumBatch = try number(c.max_batch, "max_batch", 1...65_536)
        try requireFlag(c.greedy, "config.greedy")
        try require(c.reserved == 0, FPO_ERR_DOMAIN, "config.reserved: must be 0")
        sampling.topK = try number(c.top_k, "top_k", 0...Int32.max)
        try requirePositive(c.temperature, "config.temperature")
        try requirePositive(c.top_p, "config.top_p")
        try require(
            c.top_p <= 1, FPO_ERR_DOMAIN, "config.top_p: \(c.top_p), but must be in (0, 1]")
        // The smallest that single precision can divide by.
        sampling.temperature = c.greedy == 1 ? 0 : max(Float(c.temperature), 1e-30)
        sampling.topP = max(Float(c.top_p), .leastNormalMagnitude)
    }
}

@c @implementation
public func fpo_generation_create(
    _ model: OpaquePointer?, _ lora: OpaquePointer?,
    _ config: UnsafePointer<fpo_generation_config>?, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ stop_count: Int, _ stop_tokens: UnsafePointer<Int32>?,
    _ keys: UnsafePointer<UInt64>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let model = try finishedModel(model)
        var configuration = try GenerationConfiguration(read(config, over: defaults, "config"))
        let batch = try checkedBatch(n, offsets, tokens, model)
        let room = model.configuration.context - configuration.maximumTokens
        for i in 0..<n {
            try require(
                !batch[i].isEmpty, FPO_ERR_SHAPE, "prompt \(i): empty, but needs a token")
            try require(
                batch[i].count <= room, FPO_ERR_SHAPE,
                "prompt \(i): \(batch[i].count) tokens, but this model leaves room for \(room) before "
                    + "max_new_tokens")
        }
        try requireSize(stop_count, "stop_count", stride: 4)
        configuration.stopTokens = Array(
            try checkedTokens(stop_tokens, count: stop_count, model, "stop_tokens"))
        try require(
            configuration.minimumTokens == 0
                || Set(configuration.stopTokens).count < model.configuration.vocabulary,
            FPO_ERR_DOMAIN, "stop_tokens: the whole vocabulary, which leaves min_new_tokens none")
        let (rows, many) = n.multipliedReportingOverflow(by: configuration.candidates)
        try require(!many, FPO_ERR_MEMORY, "n: \(n) prompts are more than memory can hold")
        try requireSize(rows, "n * candidates")
        let list = try randomKeys(keys, rows, greedy: configuration.sampling.temperature == 0)
        let out = try unwrap(out, "out")
        let prompts = (0..<n).map { i in
            Array(
                UnsafeBufferPointer(
                    start: batch.tokens + batch[i].lowerBound, count: batch[i].count))
        }
        let complete = configuration
        func create(_ adapter: LoRAAdapter?) throws(Failure) {
            out.pointee = GenerationHandle.create(
                try attempt { () throws(NumericsError) in
                    try Generation(
                        model, adapter: adapter, complete, prompts: prompts, keys: list)
                })
        }
        guard lora != nil else { return try create(nil) }
        try LoRAHandle.use(lora, "lora") { state throws(Failure) in
            try requireSameModel(state.adapter, model)
            try create(state.adapter)
        }
    }
}

/// One key for each row; without any where nothing is drawn.
private func randomKeys(
    _ keys: UnsafePointer<UInt64>?, _ rows: Int, greedy: Bool
) throws(Failure) -> [RandomKey] {
    if greedy && keys == nil { return [RandomKey](repeating: RandomKey(value: 0), count: rows) }
    let base = try input(keys, 1, rows, ld: rows, "keys").base
    return (0..<rows).map { RandomKey(value: base[$0]) }
}

@c @implementation
public func fpo_generation_destroy(_ generation: OpaquePointer?) {
    GenerationHandle.destroy(generation)
}

@c @implementation
public func fpo_generation_step(
    _ generation: OpaquePointer?, _ steps: Int64, _ running: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        try GenerationHandle.use(generation, "generation") { generation throws(Failure) in
            try require(steps >= 0, FPO_ERR_DOMAIN, "steps: \(steps), but must be >= 0")
            var left = steps
            while left > 0 && generation.running > 0 {
                try attempt { () throws(NumericsError) in try generation.step() }
                left -= 1
            }
            running?.pointee = Int64(generation.running)
        }
    }
}

@c @implementation
public func fpo_generation_results(
    _ generation: OpaquePointer?, _ lengths: UnsafeMutablePointer<Int64>?,
    _ tokens: UnsafeMutablePointer<Int32>?, _ log_p: UnsafeMutablePointer<Double>?,
    _ reasons: UnsafeMutablePointer<Int32>?
) -> Int32 {
    boundary { () throws(Failure) in
        try GenerationHandle.use(generation, "generation") { generation throws(Failure) in
            let width = generation.configuration.maximumTokens
            for (row, candidate) in generation.candidates.enumerated() {
                let count = candidate.tokens.count
                lengths?[row] = Int64(count)
                reasons?[row] = candidate.finish.rawValue
                for t in 0..<width {
                    tokens?[row * width + t] = t < count ? candidate.tokens[t] : -1
                    log_p?[row * width + t] = t < count ? Double(candidate.logP[t]) : 0
                }
            }
        }
    }
}
