public import FPOLayers
public import FPONumerics

/// The shape of a Llama-type decoder, as its checkpoint's `config.json` gives it.
public struct LlamaConfiguration: Sendable {
    public var vocabulary, hidden, intermediate, layers: Int
    /// Query heads, and the key and value heads that groups of them share.
    public var heads, keyValueHeads: Int
    public var headDimension: Int
    /// The most tokens that a sequence can have.
    public var context: Int
    /// Whether the head is the embedding.
    public var tied: Bool
    /// Whether q, k and v have biases (Qwen2).
    public var biased: Bool
    public var normEpsilon: Float
    public var rotaryBase: Double
    public var rotaryScaling: RotaryTable.Scaling
    public var storage: PackedMatrix.Storage

    public init(
        vocabulary: Int, hidden: Int, intermediate: Int, layers: Int, heads: Int,
        keyValueHeads: Int, headDimension: Int, context: Int, tied: Bool = false,
        biased: Bool = false, normEpsilon: Float = 1e-5, rotaryBase: Double = 10_000,
        rotaryScaling: RotaryTable.Scaling = .none, storage: PackedMatrix.Storage = .bfloat16
    ) {
        self.vocabulary = vocabulary
        self.hidden = hidden
        self.intermediate = intermediate
        self.layers = layers
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        self.context = context
        self.tied = tied
        self.biased = biased
        self.normEpsilon = normEpsilon
        self.rotaryBase = rotaryBase
        self.rotaryScaling = rotaryScaling
        self.storage = storage
    }

    /// Columns of q, and of k and v each.
    var queries: Int { heads * headDimension }
    var keys: Int { keyValueHeads * headDimension }
    /// Columns of q, k and v side by side.
    var projections: Int { queries + 2 * keys }

    /// Bytes that the weights take in the narrowest storage, at least.
    public var leastByteCount: Int {
        let block = Double(hidden) * Double(projections + queries + 3 * intermediate)
        let head = Double(hidden) * Double(vocabulary) * (tied ? 1 : 2)
        return Int(min(Double(layers) * block + head, 0x1p62))
    }
}
