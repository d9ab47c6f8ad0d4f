import FPOLayers
public import FPONumerics
import Synchronization

/// The weights of a Llama-type decoder (Touvron et al., arXiv:2302.13971; Llama 3,
/// arXiv:2407.21783; Qwen2, arXiv:2407.10671), frozen:
///
///     x ← x + Wₒ attention(rotary(W_q n), rotary(W_k n), W_v n),   n = rmsnorm(x)
///     x ← x + W_down (silu(W_gate n) ⊙ W_up n),                    n = rmsnorm(x)
///     logits = W_head rmsnorm(x)
///
/// Projections with the same input are one packed matrix: q, k and v, and gate and up. Tensors are
/// loaded by checkpoint name; after ``finish()`` nothing changes, and any thread may read.
public final class LlamaModel: @unchecked Sendable {
    public let configuration: LlamaConfiguration
    /// Under their checkpoint names; offsets are 0.
    public let tensors: [Tensor]

    let embedding, head: PackedMatrix
    let blocks: [LlamaBlock]
    let finalNorm: Matrix<Float>
    let rotary: RotaryTable
    let attention: Attention

    private let places: [Place]
    private let vectors: Buffer<Float>
    private let finished = Atomic<Bool>(false)
    /// For each tensor which rows are there, and how many are not.
    private var loaded: [[Bool]]
    private var absent: [Int]

    private enum Place {
        case vector(UnsafeMutablePointer<Float>)
        case rows(PackedMatrix, first: Int)
    }

    /// Room for the weights, all absent.
    public init(_ c: LlamaConfiguration) throws(NumericsError) {
        _ = try Float.kernels()
        configuration = c
        vectors = try Buffer(
            c.layers * (2 * c.hidden + (c.biased ? c.projections : 0)) + c.hidden)
        var next = vectors.base
        func vector(_ count: Int) -> Matrix<Float> {
            defer { next += count }
            return Matrix(base: next, rows: 1, columns: count)
        }
        func matrix(_ rows: Int, _ columns: Int) throws(NumericsError) -> PackedMatrix {
            try PackedMatrix(rows: rows, columns: columns, storage: c.storage)
        }
        var tensors: [Tensor] = [], places: [Place] = []
        func add(_ name: String, _ rows: Int, _ columns: Int, _ place: Place) {
            tensors.append(Tensor(name: name, rows: rows, columns: columns, offset: 0))
            places.append(place)
        }

        embedding = try matrix(c.vocabulary, c.hidden)
        add("model.embed_tokens.weight", c.vocabulary, c.hidden, .rows(embedding, first: 0))
        var blocks: [LlamaBlock] = []
        for layer in 0..<c.layers {
            let block = LlamaBlock(
                inputNorm: vector(c.hidden), postNorm: vector(c.hidden),
                bias: c.biased ? vector(c.projections) : nil,
                qkv: try matrix(c.projections, c.hidden), output: try matrix(c.hidden, c.queries),
                gateUp: try matrix(2 * c.intermediate, c.hidden),
                down: try matrix(c.hidden, c.intermediate))
            blocks.append(block)
            let prefix = "model.layers.\(layer)."
            add(prefix + "input_layernorm.weight", c.hidden, 1, .vector(block.inputNorm.base))
            var row = 0
            for (name, rows) in [("q", c.queries), ("k", c.keys), ("v", c.keys)] {
                let projection = prefix + "self_attn.\(name)_proj."
                add(projection + "weight", rows, c.hidden, .rows(block.qkv, first: row))
                if let bias = block.bias {
                    add(projection + "bias", rows, 1, .vector(bias.base + row))
                }
                row += rows
            }
            add(
                prefix + "self_attn.o_proj.weight", c.hidden, c.queries,
                .rows(block.output, first: 0))
            add(
                prefix + "post_attention_layernorm.weight", c.hidden, 1,
                .vector(block.postNorm.base))
            add(
                prefix + "mlp.gate_proj.weight", c.intermediate, c.hidden,
                .rows(block.gateUp, first: 0))
            add(
                prefix + "mlp.up_proj.weight", c.intermediate, c.hidden,
                .rows(block.gateUp, first: c.intermediate))
            add(
                prefix + "mlp.down_proj.weight", c.hidden, c.intermediate,
                .rows(block.down, first: 0))
        }
        finalNorm = vector(c.hidden)
        add("model.norm.weight", c.hidden, 1, .vector(finalNorm.base))
        head = c.tied ? embedding : try matrix(c.vocabulary, c.hidden)
        if !c.tied { add("lm_head.weight", c.vocabulary, c.hidden, .rows(head, first: 0)) }

        self.blocks = blocks
        self.tensors = tensors
        self.places = places
        rotary = try RotaryTable(
            headDimension: c.headDimension, positions: c.context, base: c.rotaryBase,
            scaling: c.rotaryScaling)
        attention = Attention(
            heads: c.heads, keyValueHeads: c.keyValueHeads, headDimension: c.headDimension,
            causal: true)
        loaded = tensors.map { [Bool](repeating: false, count: $0.rows) }
        absent = tensors.map(\.rows)
    }

    /// Stores rows of tensor `index`, from row `first` on.
    public func load(_ index: Int, first: Int, _ source: Rows<Float>) {
        let tensor = tensors[index]
        precondition(
            !isFinished && source.columns == tensor.columns && first >= 0
                && first + source.count <= tensor.rows,
            "\(tensor.name): (\(source.count), \(source.columns)) at row \(first)")
        switch places[index] {
        case .vector(let base):
            for i in 0..<source.count { base[first + i] = source[i][0] }
        case .rows(let matrix, let offset):
            matrix.pack(firstRow: offset + first, source)
        }
        for row in first..<first + source.count where !loaded[index][row] {
            loaded[index][row] = true
            absent[index] -= 1
        }
    }

    /// Tensors with rows that have not been loaded.
    public var missing: [Tensor] { tensors.indices.filter { absent[$0] > 0 }.map { tensors[$0] } }

    /// Ends loading, if nothing is missing.
    public func finish() {
        precondition(missing.isEmpty, "\(missing.count) tensors are missing")
        finished.store(true, ordering: .releasing)
    }

    public var isFinished: Bool { finished.load(ordering: .acquiring) }

    /// Bytes that the weights take.
    public var byteCount: Int {
        let matrices = blocks.reduce(embedding.byteCount) { $0 + $1.byteCount }
        let head = configuration.tied ? 0 : head.byteCount
        return matrices + head + vectors.count * MemoryLayout<Float>.stride
    }
}
