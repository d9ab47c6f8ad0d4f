import FPOLayers
import FPONumerics

/// The blocks' forward pass over a chunk, and what it keeps for a backward pass.
struct LlamaTape {
    enum Keep {
        /// For evaluation: each block overwrites the one before.
        case nothing
        /// The blocks' inputs: the backward pass computes each block again.
        case inputs
        case everything
    }

    let chunk: TokenChunk
    let layers: Int
    let keep: Keep
    /// Of each block, and after the last the output: all the same matrix if nothing is kept.
    private let inputs: [Matrix<Float>]
    private let activations: [BlockActivations]
    private let scratch: BlockScratch
    private let back: BackwardScratch?
    private let dropout: LoRAFactors.Dropout?
    private let keys: UnsafeMutablePointer<UInt64>?
    private let positions: UnsafeMutablePointer<Int32>

    /// Room for the first `layers` blocks over a chunk. `dropout` is a probability.
    init(
        _ chunk: TokenChunk, _ c: LlamaConfiguration, layers: Int, keep: Keep, lora: LoRALayout?,
        dropout: Float = 0, _ layout: inout Workspace.Layout
    ) {
        let rows = chunk.count
        func ranks(_ layer: Int) -> [Int] {
            LoRAGroup.Place.allCases.map { lora?[layer, $0]?.ranks ?? 0 }
        }
        let first = BlockActivations(rows, c, ranks(0), &layout)
        var activations = [first], inputs = [first.x]
        for layer in 1..<max(layers, 1) {
            switch keep {
            case .nothing: inputs.append(first.x)
            case .inputs: inputs.append(layout.matrix(rows, c.hidden))
            case .everything:
                activations.append(BlockActivations(rows, c, ranks(layer), &layout))
                inputs.append(activations[layer].x)
            }
        }
        if layers > 0 { inputs.append(keep == .nothing ? first.x : layout.matrix(rows, c.hidden)) }
        self.chunk = chunk
        self.layers = layers
        self.keep = keep
        self.inputs = inputs
        self.activations = activations
        scratch = BlockScratch(rows, c, &layout)
        positions = layout.array(of: Int32.self, rows)
        back =
            keep == .nothing
            ? nil : BackwardScratch(rows, c, ranks: lora?.widestRanks ?? 0, &layout)
        guard dropout > 0, let lora, let uniform = Float.kernelTable?.uniform else {
            keys = nil
            self.dropout = nil
            return
        }
        let keys = layout.array(of: UInt64.self, rows)
        self.keys = keys
        self.dropout = LoRAFactors.Dropout(
            probability: dropout, uniform: uniform, keys: keys,
            scratch: layout.matrix(rows, lora.widestInputs).base,
            draws: layout.matrix(rows, lora.widestInputs).base)
    }

    /// The output of the last block (not normed).
    var hidden: Matrix<Float> { inputs[layers] }

    private func block(_ layer: Int) -> BlockActivations {
        activations.count > 1
            ? activations[layer] : BlockActivations(activations[0], x: inputs[layer])
    }

    /// Embeds the chunk's tokens and runs the blocks, with attention within each sequence. Dropout
    /// masks follow from `key`.
    func forward(
        _ model: LlamaModel, lora: LoRAFactors?, key: RandomKey = RandomKey(value: 0),
        attention: Attention.Workspace
    ) {
        forward(model, lora: lora, key: key) { _, a in
            model.attend(a, chunk.bounds, attention)
        }
    }

    /// The same with attention of the caller's.
    func forward(
        _ model: LlamaModel, lora: LoRAFactors?, key: RandomKey = RandomKey(value: 0),
        attend: (_ layer: Int, BlockActivations) -> Void
    ) {
        prepare(key)
        Embedding.forward(inputs[0], tokens: chunk.tokens, table: model.embedding)
        let lora = masked(lora)
        for layer in 0..<layers {
            model.forward(
                layer, block(layer), scratch, output: inputs[layer + 1], positions: positions,
                lora: lora
            ) { attend(layer, $0) }
        }
    }

    /// Back through the blocks: `dx`, the derivatives in ``hidden``, is overwritten, and the
    /// adapter's derivatives are added to `gradient`.
    func backward(
        _ model: LlamaModel, dx: Matrix<Float>, lora: LoRAFactors,
        gradient: UnsafeMutablePointer<Float>, attention: Attention.Workspace
    ) {
        guard let back, let lora = masked(lora) else { return }
        for layer in (0..<layers).reversed() {
            let a = block(layer)
            if keep == .inputs { computeAgain(model, layer, a, lora, attention) }
            model.backward(
                layer, dx: dx, a, scratch, back, sequences: chunk.bounds, positions: positions,
                lora: lora, gradient: gradient, attention: attention, needsInput: layer > 0)
        }
    }

    private func computeAgain(
        _ model: LlamaModel, _ layer: Int, _ a: BlockActivations, _ lora: LoRAFactors,
        _ attention: Attention.Workspace
    ) {
        let c = model.configuration
        model.forward(layer, a, scratch, output: nil, positions: positions, lora: lora) {
            model.attend($0, chunk.bounds, attention)
        }
        // What a block without output leaves out.
        guard lora.ranks(layer, .down) > 0 else { return }
        SwiGLU.forward(scratch.product, gate: c.gate(a.gateUp), up: c.up(a.gateUp))
        lora.reduce(layer, .down, x: scratch.product, u: a.u[3])
    }

    private func masked(_ lora: LoRAFactors?) -> LoRAFactors? {
        guard var lora else { return nil }
        lora.dropout = dropout
        return lora
    }

    /// Each row's position and, of its sequence's number and its place in it, its key.
    private func prepare(_ key: RandomKey) {
        for s in 0..<chunk.sequenceCount {
            let sequence = key.fold(UInt64(chunk.numbers[s]))
            for (i, row) in chunk[s].enumerated() {
                positions[row] = Int32(chunk.starts[s] + i)
                keys?[row] = sequence.fold(UInt64(i)).value
            }
        }
    }
}
