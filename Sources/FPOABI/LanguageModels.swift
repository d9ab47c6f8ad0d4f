import CFPO
import FPOKernelTypes
import FPOLayers
import FPOModels
import FPONumerics

typealias LanguageModelHandle = Handle<LlamaModel>

/// The model, if its loading has ended: any thread may use it then.
func finishedModel(_ pointer: OpaquePointer?) throws(Failure) -> LlamaModel {
    let model = try LanguageModelHandle.peek(pointer, "model")
    try require(
        model.isFinished, FPO_ERR_STATE, "model: fpo_language_model_finish() has not been called")
    return model
}

private var defaults: fpo_language_model_config {
    var c = fpo_language_model_config()
    c.struct_size = UInt32(MemoryLayout<fpo_language_model_config>.size)
    c.storage = Int32(FPO_STORAGE_BFLOAT16)
    c.max_position_embeddings = 2048
    c.rope_original_max_position_embeddings = 8192
    c.rms_norm_eps = 1e-5
    c.rope_theta = 10_000
    c.rope_factor = 8
    c.rope_low_freq_factor = 1
    c.rope_high_freq_factor = 4
    return c
}

@c @implementation
public func fpo_language_model_config_init(
    _ config: UnsafeMutablePointer<fpo_language_model_config>?, _ struct_size: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(config, struct_size, with: defaults, "fpo_language_model_config")
    }
}

/// Far above any model that this library serves; products of two of them are far from overflow.
private let maximumSize: Int32 = 1 << 24

extension LlamaConfiguration {
    fileprivate init(_ c: fpo_language_model_config) throws(Failure) {
        func size(_ value: Int32, _ name: String, most: Int32 = maximumSize) throws(Failure) -> Int
        {
            try require(
                value >= 1 && value <= most, FPO_ERR_DOMAIN,
                "config.\(name): \(value), but must be 1 to \(most)")
            return Int(value)
        }
        guard let storage = PackedMatrix.Storage(rawValue: c.storage) else {
            throw Failure(
                FPO_ERR_DOMAIN,
                "config.storage: \(c.storage), but must be an FPO_STORAGE_ constant")
        }
        let hidden = try size(c.hidden_size, "hidden_size")
        let heads = try size(c.num_attention_heads, "num_attention_heads", most: 4096)
        let keyValueHeads =
            c.num_key_value_heads == 0
            ? heads : try size(c.num_key_value_heads, "num_key_value_heads", most: 4096)
        try require(
            heads % keyValueHeads == 0, FPO_ERR_DOMAIN,
            "config.num_key_value_heads: \(keyValueHeads), but must divide num_attention_heads, "
                + "\(heads)")
        try require(
            c.head_dim != 0 || hidden % heads == 0, FPO_ERR_DOMAIN,
            "config.head_dim: 0, but num_attention_heads (\(heads)) does not divide hidden_size "
                + "(\(hidden))")
        let headDimension =
            c.head_dim == 0 ? hidden / heads : try size(c.head_dim, "head_dim")
        try require(
            headDimension % 2 == 0 && headDimension <= 256, FPO_ERR_DOMAIN,
            "config.head_dim: \(headDimension), but must be even and at most 256")
        try requireFlag(c.tie_word_embeddings, "config.tie_word_embeddings")
        try requireFlag(c.qkv_bias, "config.qkv_bias")
        try requirePositive(c.rms_norm_eps, "config.rms_norm_eps")
        try requirePositive(c.rope_theta, "config.rope_theta")
        self.init(
            vocabulary: try size(c.vocab_size, "vocab_size"), hidden: hidden,
            intermediate: try size(c.intermediate_size, "intermediate_size"),
            layers: try size(c.num_hidden_layers, "num_hidden_layers", most: 4096), heads: heads,
            keyValueHeads: keyValueHeads, headDimension: headDimension,
            context: min(
                try size(c.max_position_embeddings, "max_position_embeddings"),
                AttentionKernels.maximumKeys),
            tied: c.tie_word_embeddings == 1, biased: c.qkv_bias == 1,
            normEpsilon: Float(c.rms_norm_eps), rotaryBase: c.rope_theta,
            rotaryScaling: try RotaryTable.Scaling(c), storage: storage)
    }
}

extension RotaryTable.Scaling {
    fileprivate init(_ c: fpo_language_model_config) throws(Failure) {
        switch Int(c.rope_type) {
        case FPO_ROPE_DEFAULT:
            self = .none
        case FPO_ROPE_LINEAR:
            try requirePositive(c.rope_factor, "config.rope_factor")
            self = .linear(factor: c.rope_factor)
        case FPO_ROPE_LLAMA3:
            try requirePositive(c.rope_factor, "config.rope_factor")
            try requirePositive(c.rope_low_freq_factor, "config.rope_low_freq_factor")
            try requireFinite(c.rope_high_freq_factor, "config.rope_high_freq_factor")
            try require(
                c.rope_high_freq_factor > c.rope_low_freq_factor, FPO_ERR_DOMAIN,
                "config.rope_high_freq_factor: \(c.rope_high_freq_factor), but must be above "
                    + "rope_low_freq_factor, \(c.rope_low_freq_factor)")
            try require(
                c.rope_original_max_position_embeddings >= 1, FPO_ERR_DOMAIN,
                "config.rope_original_max_position_embeddings: "
                    + "\(c.rope_original_max_position_embeddings), but must be >= 1")
            self = .llama3(
                factor: c.rope_factor, low: c.rope_low_freq_factor,
                high: c.rope_high_freq_factor,
                originalLength: Int(c.rope_original_max_position_embeddings))
        default:
            throw Failure(
                FPO_ERR_DOMAIN,
                "config.rope_type: \(c.rope_type), but must be an FPO_ROPE_ constant")
        }
    }
}

@c @implementation
public func fpo_language_model_create(
    _ config: UnsafePointer<fpo_language_model_config>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let configuration = try LlamaConfiguration(read(config, over: defaults, "config"))
        let out = try unwrap(out, "out")
        try requireMemory(configuration.leastByteCount, "weights of this config")
        out.pointee = LanguageModelHandle.create(
            try attempt { () throws(NumericsError) in try LlamaModel(configuration) })
    }
}

@c @implementation
public func fpo_language_model_destroy(_ model: OpaquePointer?) {
    LanguageModelHandle.destroy(model)
}

@c @implementation
public func fpo_language_model_tensor(
    _ model: OpaquePointer?, _ index: Int32, _ out: UnsafeMutablePointer<fpo_tensor>?
) -> Int32 {
    boundary { () throws(Failure) in
        try describe(try LanguageModelHandle.peek(model, "model").tensors, index, out, "model")
    }
}

/// Writes the tensor `index` of a model to a caller's struct.
func describe(
    _ tensors: [Tensor], _ index: Int32, _ out: UnsafeMutablePointer<fpo_tensor>?, _ owner: String
) throws(Failure) {
    let out = try unwrap(out, "out")
    try require(
        index >= 0 && index < tensors.count, FPO_ERR_DOMAIN,
        "index: \(index), but the \(owner) has \(tensors.count) tensors")
    let tensor = tensors[Int(index)]
    var result = fpo_tensor()
    result.rows = Int64(tensor.rows)
    result.columns = Int64(tensor.columns)
    result.offset = Int64(tensor.offset)
    withUnsafeMutableBytes(of: &result.name) { name in
        // The longest names leave room for the final NUL.
        for (i, byte) in tensor.name.utf8.prefix(name.count - 1).enumerated() { name[i] = byte }
    }
    out.pointee = result
}

// MARK: Loading

@c @implementation
public func fpo_language_model_load(
    _ model: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ rows: Int64, _ columns: Int64,
    _ first: Int64, _ count: Int64, _ element: Int32, _ data: UnsafeRawPointer?, _ ld: Int
) -> Int32 {
    boundary { () throws(Failure) in
        try LanguageModelHandle.use(model, "model") { model throws(Failure) in
            try require(
                !model.isFinished, FPO_ERR_STATE,
                "model: loading has ended with fpo_language_model_finish()")
            let name = String(cString: try unwrap(name, "name"))
            let index = try find(name, in: model)
            try loadRows(
                of: model.tensors[index], rows, columns, first, count, element, data, ld
            ) { start, source in model.load(index, first: start, source) }
        }
    }
}

private func find(_ name: String, in model: LlamaModel) throws(Failure) -> Int {
    guard let index = model.tensors.firstIndex(where: { $0.name == name }) else {
        if name == "lm_head.weight" {
            throw Failure(
                FPO_ERR_SHAPE,
                "lm_head.weight: with tie_word_embeddings the head is model.embed_tokens.weight")
        }
        let last = model.configuration.layers - 1
        throw Failure(
            FPO_ERR_SHAPE,
            "\(name): not a tensor of this model, whose names are model.embed_tokens.weight, "
                + "model.layers.0 to \(last) and model.norm.weight; "
                + "fpo_language_model_tensor() lists them")
    }
    return index
}

/// Rows widened at a time.
private let rowsAtOnce = 64

/// Checks `count` rows of a checkpoint's tensor, from row `first` on, then hands them to `store` in
/// pieces. What the caller says of the tensor's shape must be so.
func loadRows(
    of tensor: Tensor, _ rows: Int64, _ columns: Int64, _ first: Int64, _ count: Int64,
    _ element: Int32, _ data: UnsafeRawPointer?, _ ld: Int,
    _ store: (_ first: Int, _ source: Rows<Float>) -> Void
) throws(Failure) {
    try require(
        rows == tensor.rows && columns == tensor.columns, FPO_ERR_SHAPE,
        "\(tensor.name): (\(rows), \(columns)), but this config expects (\(tensor.rows), "
            + "\(tensor.columns))")
    try require(
        first >= 0 && count >= 0 && first <= rows && count <= rows - first, FPO_ERR_SHAPE,
        "\(tensor.name): rows \(first) to \(first) + \(count), but it has \(rows)")
    guard let element = CheckpointElement(rawValue: Int(element)) else {
        throw Failure(
            FPO_ERR_DOMAIN, "element: \(element), but must be an FPO_ELEMENT_ constant")
    }
    // Checked as bytes: the elements need no alignment.
    let bytes = try input(
        data?.assumingMemoryBound(to: UInt8.self), Int(count), tensor.columns, ld: ld, "data")
    let source = UnsafeRawPointer(bytes.base), (first, count) = (Int(first), Int(count))
    let floats = try attempt { () throws(NumericsError) in
        try Buffer<Float>(rowsAtOnce, tensor.columns)
    }
    for storing in [false, true] {
        for start in stride(from: 0, to: count, by: rowsAtOnce) {
            let rows = min(rowsAtOnce, count - start)
            for i in 0..<rows {
                element.widen(
                    source + (start + i) * ld * element.size, count: tensor.columns,
                    to: floats.base + i * tensor.columns)
            }
            if storing {
                store(
                    first + start,
                    Rows(
                        base: floats.base, count: rows, columns: tensor.columns,
                        leadingDimension: tensor.columns))
            } else {
                try requireFinite(
                    floats.base, rows, tensor.columns, tensor.columns,
                    "\(tensor.name) (from row \(first + start) on)")
            }
        }
    }
}

/// Names that an error lists.
private let most = 8

func listing(_ tensors: [Tensor]) -> String {
    let names = tensors.prefix(most).map(\.name).joined(separator: ", ")
    return tensors.count > most ? "\(names) and \(tensors.count - most) more" : names
}

@c @implementation
public func fpo_language_model_missing(
    _ model: OpaquePointer?, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    boundary { () throws(Failure) in
        try LanguageModelHandle.use(model, "model") { model throws(Failure) in
            let text = model.missing.map { $0.name + "\n" }.joined()
            try write(text, buffer, capacity, needed)
        }
    }
}

@c @implementation
public func fpo_language_model_finish(_ model: OpaquePointer?) -> Int32 {
    boundary { () throws(Failure) in
        try LanguageModelHandle.use(model, "model") { model throws(Failure) in
            let missing = model.missing
            try require(
                missing.isEmpty, FPO_ERR_STATE, "model: not loaded yet: \(listing(missing))")
            model.finish()
        }
    }
}

@c @implementation
public func fpo_language_model_bytes(
    _ model: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let model = try LanguageModelHandle.peek(model, "model")
        try unwrap(out, "out").pointee = Int64(model.byteCount)
    }
}
