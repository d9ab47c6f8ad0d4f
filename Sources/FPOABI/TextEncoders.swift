import CFPO
import FPOModels
import FPONumerics

typealias TextEncoderHandle = Handle<TextEncoder>

/// The encoder, if its loading has ended: any thread may use it then.
func finishedEncoder(_ pointer: OpaquePointer?) throws(Failure) -> TextEncoder {
    let encoder = try TextEncoderHandle.peek(pointer, "encoder")
    try require(
        encoder.isFinished, FPO_ERR_STATE,
        "encoder: fpo_text_encoder_finish() has not been called")
    return encoder
}

private var defaults: fpo_text_encoder_config {
    let d = EncoderConfiguration()
    var c = fpo_text_encoder_config()
    c.struct_size = UInt32(MemoryLayout<fpo_text_encoder_config>.size)
    c.storage = Int32(FPO_STORAGE_FLOAT32)
    c.family = d.family.rawValue
    c.max_position_embeddings = Int32(d.positions)
    c.type_vocab_size = Int32(d.types)
    c.hidden_act = d.activation.rawValue
    c.pad_token_id = Int32(d.paddingToken)
    c.pooler = d.pooler ? 1 : 0
    c.position_biased_input = d.positionBiasedInput ? 1 : 0
    c.relative_attention = d.relativeAttention ? 1 : 0
    c.content_to_position = d.contentToPosition ? 1 : 0
    c.position_to_content = d.positionToContent ? 1 : 0
    c.share_att_key = d.sharedAttentionKey ? 1 : 0
    c.position_buckets = Int32(d.positionBuckets)
    c.max_relative_positions = Int32(d.maximumRelativePositions)
    c.norm_rel_ebd = d.normalizedRelative ? 1 : 0
    c.conv_kernel_size = Int32(d.convolution)
    c.conv_act = d.convolutionActivation.rawValue
    c.layer_norm_eps = d.epsilon
    return c
}

@c @implementation
public func fpo_text_encoder_config_init(
    _ config: UnsafeMutablePointer<fpo_text_encoder_config>?, _ struct_size: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(config, struct_size, with: defaults, "fpo_text_encoder_config")
    }
}

func activation(_ value: Int32, _ name: String) throws(Failure) -> Activation {
    guard let activation = Activation(rawValue: value) else {
        throw Failure(
            FPO_ERR_DOMAIN, "config.\(name): \(value), but must be an FPO_ACTIVATION_ constant")
    }
    return activation
}

func pooler(_ value: Int32, _ name: String) throws(Failure) -> Pooler {
    guard let pooler = Pooler(rawValue: value) else {
        throw Failure(FPO_ERR_DOMAIN, "\(name): \(value), but must be an FPO_POOLER_ constant")
    }
    return pooler
}

extension EncoderConfiguration {
    fileprivate init(_ c: fpo_text_encoder_config) throws(Failure) {
        func size(
            _ value: Int32, _ name: String, least: Int32 = 1, most: Int32 = 1 << 24
        ) throws(Failure) -> Int {
            try require(
                value >= least && value <= most, FPO_ERR_DOMAIN,
                "config.\(name): \(value), but must be \(least) to \(most)")
            return Int(value)
        }
        func flag(_ value: Int32, _ name: String) throws(Failure) -> Bool {
            try requireFlag(value, "config.\(name)")
            return value == 1
        }
        self.init()
        guard let family = Family(rawValue: c.family) else {
            throw Failure(
                FPO_ERR_DOMAIN, "config.family: \(c.family), but must be an FPO_ENCODER_ constant")
        }
        self.family = family
        vocabulary = try size(c.vocab_size, "vocab_size")
        hidden = try size(c.hidden_size, "hidden_size", most: 1 << 16)
        intermediate = try size(c.intermediate_size, "intermediate_size", most: 1 << 18)
        blocks = try size(c.num_hidden_layers, "num_hidden_layers", most: 1024)
        heads = try size(c.num_attention_heads, "num_attention_heads", most: 4096)
        let width = hidden / heads
        try require(
            hidden % heads == 0 && width % 2 == 0 && width <= 256, FPO_ERR_DOMAIN,
            "config.num_attention_heads: \(heads), but must divide hidden_size (\(hidden)) into "
                + "heads of an even width up to 256")
        positions = try size(
            c.max_position_embeddings, "max_position_embeddings", most: 1 << 20)
        types = try size(c.type_vocab_size, "type_vocab_size", least: 0, most: 1 << 16)
        activation = try FPOABI.activation(c.hidden_act, "hidden_act")
        pooler = try flag(c.pooler, "pooler")
        try requirePositive(c.layer_norm_eps, "config.layer_norm_eps")
        epsilon = c.layer_norm_eps
        if family == .roberta {
            paddingToken = try size(
                c.pad_token_id, "pad_token_id", least: 0, most: c.max_position_embeddings - 2)
        }
        guard family == .debertaV2 else { return }
        embedding = try size(c.embedding_size, "embedding_size", least: 0, most: 1 << 16)
        positionBiasedInput = try flag(c.position_biased_input, "position_biased_input")
        relativeAttention = try flag(c.relative_attention, "relative_attention")
        contentToPosition = try flag(c.content_to_position, "content_to_position")
        positionToContent = try flag(c.position_to_content, "position_to_content")
        sharedAttentionKey = try flag(c.share_att_key, "share_att_key")
        positionBuckets = try size(
            c.position_buckets, "position_buckets", least: -1, most: 1 << 16)
        maximumRelativePositions = try size(
            c.max_relative_positions, "max_relative_positions", least: -1, most: 1 << 20)
        normalizedRelative = try flag(c.norm_rel_ebd, "norm_rel_ebd")
        convolution = try size(c.conv_kernel_size, "conv_kernel_size", least: 0, most: 255)
        try require(
            convolution % 2 == 1 || convolution == 0, FPO_ERR_DOMAIN,
            "config.conv_kernel_size: \(convolution), but must be odd, or 0 for none")
        convolutionActivation = try FPOABI.activation(c.conv_act, "conv_act")
    }
}

@c @implementation
public func fpo_text_encoder_create(
    _ config: UnsafePointer<fpo_text_encoder_config>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let config = try read(config, over: defaults, "config")
        let configuration = try EncoderConfiguration(config)
        guard let storage = PackedMatrix.Storage(rawValue: config.storage) else {
            throw Failure(
                FPO_ERR_DOMAIN,
                "config.storage: \(config.storage), but must be an FPO_STORAGE_ constant")
        }
        let out = try unwrap(out, "out")
        try requireMemory(configuration.leastByteCount, "weights of this config")
        out.pointee = TextEncoderHandle.create(
            try attempt { () throws(NumericsError) in
                try TextEncoder(configuration, storage: storage)
            })
    }
}

@c @implementation
public func fpo_text_encoder_destroy(_ encoder: OpaquePointer?) {
    TextEncoderHandle.destroy(encoder)
}

@c @implementation
public func fpo_text_encoder_tensor(
    _ encoder: OpaquePointer?, _ index: Int32, _ out: UnsafeMutablePointer<fpo_tensor>?
) -> Int32 {
    boundary { () throws(Failure) in
        let encoder = try TextEncoderHandle.peek(encoder, "encoder")
        try describe(encoder.tensors, index, out, "encoder")
    }
}

// MARK: Loading

@c @implementation
public func fpo_text_encoder_load(
    _ encoder: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ rows: Int64, _ columns: Int64,
    _ first: Int64, _ count: Int64, _ element: Int32, _ data: UnsafeRawPointer?, _ ld: Int
) -> Int32 {
    boundary { () throws(Failure) in
        try TextEncoderHandle.use(encoder, "encoder") { encoder throws(Failure) in
            try require(
                !encoder.isFinished, FPO_ERR_STATE,
                "encoder: loading has ended with fpo_text_encoder_finish()")
            let name = String(cString: try unwrap(name, "name"))
            guard let index = encoder.tensors.firstIndex(where: { $0.name == name }) else {
                throw Failure(
                    FPO_ERR_SHAPE,
                    "\(name): not a tensor of this encoder; fpo_text_encoder_tensor() lists them")
            }
            try loadRows(
                of: encoder.tensors[index], rows, columns, first, count, element, data, ld
            ) { start, source in encoder.load(index, first: start, source) }
        }
    }
}

@c @implementation
public func fpo_text_encoder_missing(
    _ encoder: OpaquePointer?, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    boundary { () throws(Failure) in
        try TextEncoderHandle.use(encoder, "encoder") { encoder throws(Failure) in
            let text = encoder.missing.map { $0.name + "\n" }.joined()
            try write(text, buffer, capacity, needed)
        }
    }
}

@c @implementation
public func fpo_text_encoder_finish(_ encoder: OpaquePointer?) -> Int32 {
    boundary { () throws(Failure) in
        try TextEncoderHandle.use(encoder, "encoder") { encoder throws(Failure) in
            let missing = encoder.missing
            try require(
                missing.isEmpty, FPO_ERR_STATE, "encoder: not loaded yet: \(listing(missing))")
            encoder.finish()
        }
    }
}

@c @implementation
public func fpo_text_encoder_bytes(
    _ encoder: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let encoder = try TextEncoderHandle.peek(encoder, "encoder")
        try unwrap(out, "out").pointee = Int64(encoder.byteCount)
    }
}

@c @implementation
public func fpo_text_encoder_max_length(
    _ encoder: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let encoder = try TextEncoderHandle.peek(encoder, "encoder")
        try unwrap(out, "out").pointee = Int64(encoder.configuration.maximumLength)
    }
}

// MARK: Evaluation

/// A batch of texts whose every token and type is in the encoder's tables.
func checkedTexts(
    _ n: Int, _ offsets: UnsafePointer<Int64>?, _ tokens: UnsafePointer<Int32>?,
    _ types: UnsafePointer<Int32>?, _ c: EncoderConfiguration
) throws(Failure) -> TextBatch {
    try requireSize(n, "n")
    guard n > 0 else {
        return TextBatch(tokens: UnsafePointer(bitPattern: 8)!, types: nil, offsets: [0])
    }
    try requireSize(n + 1, "n", stride: 8)
    let offsets = try input(offsets, 1, n + 1, ld: n + 1, "offsets").base
    try require(offsets[0] == 0, FPO_ERR_DOMAIN, "offsets[0]: \(offsets[0]), but must be 0")
    for i in 0..<n {
        let length = offsets[i + 1].subtractingReportingOverflow(offsets[i])
        try require(
            !length.overflow && length.partialValue >= 1, FPO_ERR_DOMAIN,
            "offsets[\(i + 1)]: \(offsets[i + 1]), but must be above offsets[\(i)], "
                + "\(offsets[i]): a text has at least one token")
        try require(
            length.partialValue <= Int64(c.maximumLength), FPO_ERR_SHAPE,
            "text \(i): \(length.partialValue) tokens, but the encoder takes at most "
                + "\(c.maximumLength)")
    }
    let count = Int(offsets[n])
    try requireSize(count, "offsets[n]", stride: 4)
    func ids(
        _ pointer: UnsafePointer<Int32>?, _ limit: Int, _ name: String
    ) throws(Failure) -> UnsafePointer<Int32> {
        let base = try input(pointer, 1, count, ld: count, name).base
        for i in 0..<count where base[i] < 0 || Int(base[i]) >= limit {
            throw Failure(
                FPO_ERR_DOMAIN, "\(name)[\(i)]: \(base[i]), but must be in [0, \(limit))")
        }
        return base
    }
    let checked = try ids(tokens, c.vocabulary, "tokens")
    let checkedTypes = types == nil || c.types == 0 ? nil : try ids(types, c.types, "types")
    return TextBatch(
        tokens: checked, types: checkedTypes, offsets: (0...n).map { Int(offsets[$0]) })
}

func floatRows(
    _ pointer: UnsafeMutablePointer<Float>?, _ n: Int, _ columns: Int, ld: Int, _ name: String
) throws(Failure) -> MutableRows<Float> {
    let base = try output(pointer, n, columns, ld: ld, name)
    return MutableRows(base: base, columns: columns, leadingDimension: ld)
}

@c @implementation
public func fpo_text_encoder_features(
    _ encoder: OpaquePointer?, _ pooler: Int32, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ types: UnsafePointer<Int32>?,
    _ features: UnsafeMutablePointer<Float>?, _ ld: Int
) -> Int32 {
    boundary { () throws(Failure) in
        let encoder = try finishedEncoder(encoder), c = encoder.configuration
        let pooler = try checkedPooler(pooler, "pooler", c)
        let batch = try checkedTexts(n, offsets, tokens, types, c)
        let out = try floatRows(features, n, c.hidden, ld: ld, "features")
        try attempt { () throws(NumericsError) in
            try encoder.features(batch, pooler: pooler, into: out)
        }
    }
}

/// A pooler that the encoder has the weights for.
func checkedPooler(
    _ value: Int32, _ name: String, _ c: EncoderConfiguration
) throws(Failure) -> Pooler {
    let pooler = try pooler(value, name)
    try require(
        !pooler.needsDense || c.pooler, FPO_ERR_DOMAIN,
        "\(name): \(pooler) takes pooler.dense, which this encoder does not have")
    return pooler
}

@c @implementation
public func fpo_text_encoder_hidden_states(
    _ encoder: OpaquePointer?, _ layer: Int32, _ n: Int, _ offsets: UnsafePointer<Int64>?,
    _ tokens: UnsafePointer<Int32>?, _ types: UnsafePointer<Int32>?,
    _ out: UnsafeMutablePointer<Float>?, _ ld: Int
) -> Int32 {
    boundary { () throws(Failure) in
        let encoder = try finishedEncoder(encoder), c = encoder.configuration
        try require(
            layer >= 0 && layer <= c.blocks, FPO_ERR_DOMAIN,
            "layer: \(layer), but must be 0 to \(c.blocks)")
        let batch = try checkedTexts(n, offsets, tokens, types, c)
        let states = try floatRows(out, batch.tokenCount, c.hidden, ld: ld, "out")
        try attempt { () throws(NumericsError) in
            try encoder.hiddenStates(batch, blocks: Int(layer), into: states)
        }
    }
}
