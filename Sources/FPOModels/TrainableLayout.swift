/// Which parameters of a text reward are trained.
public enum Trainable: Sendable, Equatable {
    case head
    /// The last blocks of the encoder, its pooler and the head.
    case blocks(Int)
    /// Adapters on query, key, value and attention output of all blocks, and the head
    /// (Hu et al., arXiv:2106.09685): `y = W x + (alpha / rank) B A x`.
    case lora(rank: Int, alpha: Double)
    case all
}

/// One vector for a text.
public enum Pooler: Int32, Sendable {
    /// Mean over the tokens.
    case mean
    /// First token, `cls`.
    case cls
    /// `tanh(dense(cls))`, as BERT has it.
    case tanh
    /// `gelu(dense(cls))`, as DeBERTa has it.
    case context

    /// Whether it takes the encoder's `pooler.dense`.
    public var needsDense: Bool { self == .tanh || self == .context }
}

/// The head on a text's vector: linear, or with one hidden layer.
public struct RewardHead: Sendable, Equatable {
    /// Width of the hidden layer; 0 for a linear head.
    public var hidden = 0
    public var activation = Activation.tanh
    public var bias = true

    public init() {}
}

/// Where the trainable parameters of a text reward stand in its flat vector.
struct TrainableLayout: Sendable {
    struct Adapter: Sendable { var a, b: Int }

    private(set) var parameters: [Tensor] = []
    private(set) var count = 0
    /// For each tensor of the encoder the offset of its trainable copy.
    private(set) var copies: [Int?]
    /// For each weight of the encoder the offsets of its adapter.
    private(set) var adapters: [Adapter?]
    private(set) var rank = 0
    private(set) var scale: Float = 0
    /// The lowest block with something to train; the number of blocks if there is none.
    private(set) var firstBlock: Int
    private(set) var trainsEmbeddings = false
    /// Offsets of the head: weight and bias of its layers.
    private(set) var hiddenWeight: Int?, hiddenBias: Int?
    private(set) var headWeight: Int?, headBias: Int?

    /// Nothing is trained: the encoder alone.
    init(_ architecture: EncoderArchitecture) {
        copies = architecture.tensors.map { _ in nil }
        adapters = copies.map { _ in nil }
        firstBlock = architecture.blocks.count
    }

    init(
        _ architecture: EncoderArchitecture, _ trainable: Trainable, pooler: Pooler,
        head: RewardHead
    ) {
        self.init(architecture)
        switch trainable {
        case .head: break
        case .blocks(let count):
            firstBlock = max(0, architecture.blocks.count - count)
            for block in architecture.blocks[firstBlock...] {
                for index in block.tensors { copy(index, architecture) }
            }
            if pooler.needsDense, let dense = architecture.pooler { copy(dense, architecture) }
        case .lora(let rank, let alpha):
            self.rank = rank
            scale = Float(alpha / Double(rank))
            firstBlock = 0
            for block in architecture.blocks {
                for linear in [block.query, block.key, block.value, block.output] {
                    adapt(linear.weight, architecture)
                }
            }
        case .all:
            firstBlock = 0
            trainsEmbeddings = true
            for index in architecture.tensors.indices {
                let isPooler =
                    index == architecture.pooler?.weight || index == architecture.pooler?.bias
                if !isPooler || pooler.needsDense { copy(index, architecture) }
            }
        }
        addHead(head, architecture.configuration.hidden)
    }

    private mutating func addHead(_ head: RewardHead, _ width: Int) {
        if head.hidden > 0 {
            hiddenWeight = append("head.0.weight", head.hidden, width)
            hiddenBias = append("head.0.bias", head.hidden, 1)
            headWeight = append("head.2.weight", 1, head.hidden)
            if head.bias { headBias = append("head.2.bias", 1, 1) }
        } else {
            headWeight = append("head.weight", 1, width)
            if head.bias { headBias = append("head.bias", 1, 1) }
        }
    }

    private mutating func append(_ name: String, _ rows: Int, _ columns: Int) -> Int {
        parameters.append(Tensor(name: name, rows: rows, columns: columns, offset: count))
        defer { count += rows * columns }
        return count
    }

    private mutating func copy(_ index: Int, _ architecture: EncoderArchitecture) {
        let tensor = architecture.tensors[index]
        copies[index] = append(tensor.name, tensor.rows, tensor.columns)
    }

    private mutating func copy(
        _ linear: EncoderArchitecture.Linear, _ architecture: EncoderArchitecture
    ) {
        copy(linear.weight, architecture)
        if let bias = linear.bias { copy(bias, architecture) }
    }

    private mutating func adapt(_ weight: Int, _ architecture: EncoderArchitecture) {
        let tensor = architecture.tensors[weight]
        let module = tensor.name.dropLast(".weight".count)
        let a = append("\(module).lora_A.weight", rank, tensor.columns)
        let b = append("\(module).lora_B.weight", tensor.rows, rank)
        adapters[weight] = Adapter(a: a, b: b)
    }
}
