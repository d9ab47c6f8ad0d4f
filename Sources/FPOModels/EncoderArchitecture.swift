/// The shape of a bidirectional encoder, with the names and defaults of a checkpoint's config.
///
/// BERT (arXiv:1810.04805), RoBERTa (arXiv:1907.11692), DeBERTa-v2 and v3 (arXiv:2006.03654,
/// 2111.09543).
public struct EncoderConfiguration: Sendable, Equatable {
    public enum Family: Int32, Sendable { case bert, roberta, debertaV2 }

    public var family = Family.bert
    public var vocabulary = 0, hidden = 0, intermediate = 0, blocks = 0, heads = 0
    public var positions = 512
    /// Token types; 0 for a model without.
    public var types = 2
    public var activation = Activation.gelu
    /// RoBERTa numbers its positions from the one after this token's id.
    public var paddingToken = 1
    /// Whether there is a `pooler.dense`.
    public var pooler = false
    public var epsilon = 1e-12

    /// DeBERTa: width of the embeddings, projected to `hidden`; 0 if it is `hidden`.
    public var embedding = 0
    public var positionBiasedInput = false
    public var relativeAttention = true
    public var contentToPosition = true, positionToContent = true
    /// Positions go through the query and key projections of the content.
    public var sharedAttentionKey = true
    /// Logarithmic buckets of distances; below 1, none.
    public var positionBuckets = 256
    /// Below 1: `positions`.
    public var maximumRelativePositions = -1
    public var normalizedRelative = true
    /// Width of the convolution beside the first block, odd; 0 for none.
    public var convolution = 0
    public var convolutionActivation = Activation.tanh

    public init() {}

    var isDeBERTa: Bool { family == .debertaV2 }
    var embeddingWidth: Int { isDeBERTa && embedding > 0 ? embedding : hidden }
    var headWidth: Int { hidden / heads }
    /// Whether the score of two tokens depends on their distance.
    var isRelative: Bool {
        isDeBERTa && relativeAttention && (contentToPosition || positionToContent)
    }
    var hasAbsolutePositions: Bool { !isDeBERTa || positionBiasedInput }
    /// Half the rows of the relative embeddings.
    var span: Int { positionBuckets > 0 ? positionBuckets : reach }
    var reach: Int { maximumRelativePositions > 0 ? maximumRelativePositions : positions }
    /// How many kinds of products a score sums: queries and keys are divided by its root.
    var terms: Int { isDeBERTa ? 1 + (contentToPosition ? 1 : 0) + (positionToContent ? 1 : 0) : 1 }

    /// Bytes that the largest tensors take at least: no more than a guard against absurd sizes.
    public var leastByteCount: Int {
        let block = Double(hidden) * (4 * Double(hidden) + 2 * Double(intermediate))
        let tables = Double(embeddingWidth) * (Double(vocabulary) + Double(positions))
        return Int(min(Double(blocks) * block + 4 * tables, 0x1p62))
    }

    /// The most tokens that a text may have.
    public var maximumLength: Int { family == .roberta ? positions - paddingToken - 1 : positions }
}

/// The tensors of an encoder, and which of them each layer uses, as indices.
struct EncoderArchitecture: Sendable {
    struct Linear: Sendable, Equatable { var weight: Int, bias: Int? }
    struct Norm: Sendable, Equatable { var weight: Int, bias: Int }
    struct Block: Sendable {
        var query, key, value: Linear
        var positionKey, positionQuery: Linear?
        var output: Linear, outputNorm: Norm
        var intermediate, dense: Linear, norm: Norm
        /// Indices from the first tensor of the block to the last.
        var tensors: Range<Int>
    }

    let configuration: EncoderConfiguration
    /// Under their checkpoint names; offsets are 0.
    private(set) var tensors: [Tensor] = []
    /// Of each tensor, whether it is the weight of a linear map, which is packed where it is frozen.
    private(set) var areWeights: [Bool] = []
    private(set) var words = 0
    private(set) var positions: Int?
    private(set) var types: Int?
    private(set) var projection: Linear?
    private(set) var embeddingNorm = Norm(weight: 0, bias: 0)
    private(set) var relative: Int?
    private(set) var relativeNorm: Norm?
    private(set) var convolution: Linear?
    private(set) var convolutionNorm: Norm?
    private(set) var blocks: [Block] = []
    private(set) var pooler: Linear?

    init(_ c: EncoderConfiguration) {
        configuration = c
        let width = c.embeddingWidth
        words = add("embeddings.word_embeddings.weight", c.vocabulary, width)
        if c.hasAbsolutePositions {
            positions = add("embeddings.position_embeddings.weight", c.positions, width)
        }
        if c.types > 0 { types = add("embeddings.token_type_embeddings.weight", c.types, width) }
        if width != c.hidden {
            projection = linear("embeddings.embed_proj", c.hidden, width, bias: false)
        }
        embeddingNorm = norm("embeddings.LayerNorm")
        for k in 0..<c.blocks { blocks.append(block("encoder.layer.\(k)")) }
        if c.isDeBERTa && c.relativeAttention {
            relative = add("encoder.rel_embeddings.weight", 2 * c.span, c.hidden)
            if c.normalizedRelative { relativeNorm = norm("encoder.LayerNorm") }
        }
        if c.isDeBERTa && c.convolution > 0 {
            convolution = linear("encoder.conv.conv", c.hidden, c.hidden * c.convolution)
            convolutionNorm = norm("encoder.conv.LayerNorm")
        }
        if c.pooler { pooler = linear("pooler.dense", c.hidden, c.hidden) }
    }

    private mutating func block(_ name: String) -> Block {
        let c = configuration, first = tensors.count
        let attention = name + ".attention.self.", suffix = c.isDeBERTa ? "_proj" : ""
        let query = linear(attention + "query" + suffix, c.hidden, c.hidden)
        let key = linear(attention + "key" + suffix, c.hidden, c.hidden)
        let value = linear(attention + "value" + suffix, c.hidden, c.hidden)
        let own = c.isDeBERTa && c.relativeAttention && !c.sharedAttentionKey
        let positionKey =
            own && c.contentToPosition
            ? linear(attention + "pos_key_proj", c.hidden, c.hidden) : nil
        let positionQuery =
            own && c.positionToContent
            ? linear(attention + "pos_query_proj", c.hidden, c.hidden) : nil
        let output = linear(name + ".attention.output.dense", c.hidden, c.hidden)
        let outputNorm = norm(name + ".attention.output.LayerNorm")
        let intermediate = linear(name + ".intermediate.dense", c.intermediate, c.hidden)
        let dense = linear(name + ".output.dense", c.hidden, c.intermediate)
        let last = norm(name + ".output.LayerNorm")
        return Block(
            query: query, key: key, value: value, positionKey: positionKey,
            positionQuery: positionQuery, output: output, outputNorm: outputNorm,
            intermediate: intermediate, dense: dense, norm: last, tensors: first..<tensors.count)
    }

    private mutating func add(
        _ name: String, _ rows: Int, _ columns: Int, isWeight: Bool = false
    ) -> Int {
        tensors.append(Tensor(name: name, rows: rows, columns: columns, offset: 0))
        areWeights.append(isWeight)
        return tensors.count - 1
    }

    private mutating func linear(
        _ name: String, _ outputs: Int, _ inputs: Int, bias: Bool = true
    ) -> Linear {
        let weight = add(name + ".weight", outputs, inputs, isWeight: true)
        return Linear(weight: weight, bias: bias ? add(name + ".bias", outputs, 1) : nil)
    }

    private mutating func norm(_ name: String) -> Norm {
        Norm(
            weight: add(name + ".weight", configuration.hidden, 1),
            bias: add(name + ".bias", configuration.hidden, 1))
    }
}
