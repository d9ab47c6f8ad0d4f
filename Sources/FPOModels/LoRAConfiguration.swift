import FPONumerics

/// Which projections an adapter adapts, and how: `y = W x + scale B A x` (Hu et al.,
/// arXiv:2106.09685).
public struct LoRAConfiguration: Sendable {
    public struct Targets: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let query = Targets(rawValue: 1)
        public static let key = Targets(rawValue: 2)
        public static let value = Targets(rawValue: 4)
        public static let output = Targets(rawValue: 8)
        public static let gate = Targets(rawValue: 16)
        public static let up = Targets(rawValue: 32)
        public static let down = Targets(rawValue: 64)
        public static let all = Targets(rawValue: 127)
    }

    public var rank = 16
    public var targets: Targets = [.query, .value]
    public var alpha = 32.0
    /// Whether the scale is `alpha / √rank` (rsLoRA, arXiv:2312.03732) and not `alpha / rank`.
    public var rankStabilized = false
    /// Of the input of `A`, while training; one mask serves all targets with the same input.
    public var dropout = 0.0
    /// Whether training keeps the blocks' inputs alone and computes each block twice over.
    public var recompute = false

    public init() {}

    var scale: Float {
        Float(alpha / (rankStabilized ? Double(rank).squareRoot() : Double(rank)))
    }
}

/// The adapted projections of one layer that share an input, and where their factors stand in the
/// flat vector: the `A`s one below the other, `(ranks, inputs)`, then a `B` for each.
struct LoRAGroup: Sendable {
    /// `B (columns.count, rank)`, for these columns of the packed product.
    struct Target: Sendable {
        let offset: Int
        let columns: Range<Int>
    }

    let offset, inputs, rank: Int
    let targets: [Target]

    var ranks: Int { rank * targets.count }

    /// Columns of `x Aᵀ` that belong to target `k`.
    func columns(_ k: Int) -> Range<Int> { k * rank..<(k + 1) * rank }

    /// The four packed projections of a layer.
    enum Place: Int, CaseIterable { case qkv, output, gateUp, down }
}

/// The flat vector of an adapter: what stands where.
struct LoRALayout: Sendable {
    private(set) var parameters = ParameterLayout()
    /// For each layer and place; `nil` where nothing is adapted.
    private var groups: [LoRAGroup?] = []

    init(_ c: LoRAConfiguration, for model: LlamaConfiguration) throws(NumericsError) {
        for layer in 0..<model.layers {
            for place in LoRAGroup.Place.allCases {
                groups.append(try append(place, layer, c, model))
            }
        }
    }

    subscript(layer: Int, place: LoRAGroup.Place) -> LoRAGroup? {
        groups[layer * LoRAGroup.Place.allCases.count + place.rawValue]
    }

    /// The widest group's ranks and inputs.
    var widestRanks: Int { groups.reduce(0) { max($0, $1?.ranks ?? 0) } }
    var widestInputs: Int { groups.reduce(0) { max($0, $1?.inputs ?? 0) } }

    private mutating func append(
        _ place: LoRAGroup.Place, _ layer: Int, _ c: LoRAConfiguration, _ m: LlamaConfiguration
    ) throws(NumericsError) -> LoRAGroup? {
        typealias Projection = (target: LoRAConfiguration.Targets, name: String, outputs: Int)
        let (inputs, all): (Int, [Projection]) =
            switch place {
            case .qkv:
                (
                    m.hidden,
                    [
                        (.query, "self_attn.q_proj", m.queries), (.key, "self_attn.k_proj", m.keys),
                        (.value, "self_attn.v_proj", m.keys),
                    ]
                )
            case .output: (m.queries, [(.output, "self_attn.o_proj", m.hidden)])
            case .gateUp:
                (
                    m.hidden,
                    [
                        (.gate, "mlp.gate_proj", m.intermediate),
                        (.up, "mlp.up_proj", m.intermediate),
                    ]
                )
            case .down: (m.intermediate, [(.down, "mlp.down_proj", m.hidden)])
            }
        let offset = parameters.count
        for (target, name, _) in all where c.targets.contains(target) {
            try parameters.append("layers.\(layer).\(name).lora_A.weight", c.rank, inputs)
        }
        var targets: [LoRAGroup.Target] = []
        var column = 0
        for (target, name, outputs) in all {
            if c.targets.contains(target) {
                let b = try parameters.append(
                    "layers.\(layer).\(name).lora_B.weight", outputs, c.rank)
                targets.append(
                    LoRAGroup.Target(offset: b.offset, columns: column..<column + outputs))
            }
            column += outputs
        }
        guard !targets.isEmpty else { return nil }
        return LoRAGroup(offset: offset, inputs: inputs, rank: c.rank, targets: targets)
    }
}
