import FPOLayers
import FPONumerics

/// What the backward pass of a block writes and no one reads later.
struct BackwardScratch {
    /// `(T, hidden)`, `(T, intermediate)` and `(T, queries)`.
    let dNormed, dProduct, dAttention: Matrix<Float>
    let dGateUp, dqkv: Matrix<Float>
    /// `(T, ranks)` of the widest place.
    let du: Matrix<Float>

    init(
        _ rows: Int, _ c: LlamaConfiguration, ranks: Int, _ layout: inout Workspace.Layout
    ) {
        dNormed = layout.matrix(rows, c.hidden)
        dProduct = layout.matrix(rows, c.intermediate)
        dAttention = layout.matrix(rows, c.queries)
        dGateUp = layout.matrix(rows, 2 * c.intermediate)
        dqkv = layout.matrix(rows, c.projections)
        du = layout.matrix(rows, ranks)
    }
}

extension LlamaModel {
    /// The backward pass of ``forward``: `dx`, the derivatives in the block's output, become those in
    /// its input (they are left unfinished where `needsInput` is false), and the adapter's go to
    /// `gradient`.
    func backward(
        _ layer: Int, dx: Matrix<Float>, _ a: BlockActivations, _ s: BlockScratch,
        _ d: BackwardScratch, sequences: [Int], positions: UnsafePointer<Int32>,
        lora: LoRAFactors, gradient: UnsafeMutablePointer<Float>,
        attention: Attention.Workspace, needsInput: Bool
    ) {
        let c = configuration, block = blocks[layer]
        func adapt(
            _ place: LoRAGroup.Place, dx: Matrix<Float>?, dy: Matrix<Float>, x: Matrix<Float>
        ) {
            lora.backward(
                layer, place, gradient: gradient, dx: dx, dy: dy, x: x, u: a.u[place.rawValue],
                scratch: d.du)
        }

        // middle → output
        block.down.multiplyTransposed(d.dProduct, dy: dx)
        if lora.ranks(layer, .down) > 0 {
            SwiGLU.forward(s.product, gate: c.gate(a.gateUp), up: c.up(a.gateUp))
            adapt(.down, dx: d.dProduct, dy: dx, x: s.product)
        }
        d.dGateUp.fill(0)
        SwiGLU.backward(
            dGate: c.gate(d.dGateUp), dUp: c.up(d.dGateUp), dy: d.dProduct,
            gate: c.gate(a.gateUp), up: c.up(a.gateUp))
        block.gateUp.multiplyTransposed(d.dNormed, dy: d.dGateUp)
        if lora.ranks(layer, .gateUp) > 0 {
            RMSNorm.forward(
                s.normed, x: a.middle, weight: block.postNorm, epsilon: c.normEpsilon)
            adapt(.gateUp, dx: d.dNormed, dy: d.dGateUp, x: s.normed)
        }
        RMSNorm.backward(
            dx: dx, dWeight: nil, dy: d.dNormed, x: a.middle, weight: block.postNorm,
            scale: a.postScale)

        // x → middle
        let hasInput = lora.ranks(layer, .qkv) > 0
        guard needsInput || hasInput || lora.ranks(layer, .output) > 0 else { return }
        block.output.multiplyTransposed(d.dAttention, dy: dx)
        adapt(.output, dx: d.dAttention, dy: dx, x: a.attention)
        guard needsInput || hasInput else { return }
        d.dqkv.fill(0)
        self.attention.backward(
            dq: c.q(d.dqkv), dk: c.k(d.dqkv), dv: c.v(d.dqkv), dOut: d.dAttention,
            out: a.attention, q: c.q(a.qkv), k: c.k(a.qkv), v: c.v(a.qkv), sequences: sequences,
            statistics: a.statistics, workspace: attention)
        rotary.apply(c.qk(d.dqkv), positions: positions, inverse: true)
        if needsInput { block.qkv.multiplyTransposed(d.dNormed, dy: d.dqkv) }
        if hasInput {
            RMSNorm.forward(s.normed, x: a.x, weight: block.inputNorm, epsilon: c.normEpsilon)
            adapt(.qkv, dx: needsInput ? d.dNormed : nil, dy: d.dqkv, x: s.normed)
        }
        if needsInput {
            RMSNorm.backward(
                dx: dx, dWeight: nil, dy: d.dNormed, x: a.x, weight: block.inputNorm,
                scale: a.inputScale)
        }
    }

    /// Causal attention within each sequence.
    func attend(_ a: BlockActivations, _ sequences: [Int], _ workspace: Attention.Workspace) {
        let c = configuration
        attention.forward(
            a.attention, q: c.q(a.qkv), k: c.k(a.qkv), v: c.v(a.qkv), sequences: sequences,
            statistics: a.statistics, workspace: workspace)
    }
}
