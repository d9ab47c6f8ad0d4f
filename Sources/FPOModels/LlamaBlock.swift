import FPOLayers
import FPONumerics

/// One layer's weights.
struct LlamaBlock: @unchecked Sendable {
    let inputNorm, postNorm: Matrix<Float>
    /// Of q, k and v, where they have one.
    let bias: Matrix<Float>?
    let qkv, output, gateUp, down: PackedMatrix

    var byteCount: Int {
        qkv.byteCount + output.byteCount + gateUp.byteCount + down.byteCount
    }
}

/// What a block's backward pass needs of its forward pass over `T` rows. Cheap things are computed
/// again: the norms' outputs and `silu(gate) ⊙ up`.
struct BlockActivations {
    /// The block's input, and what lies between its halves, `(T, hidden)`.
    let x, middle: Matrix<Float>
    /// What the norms divided their rows by, inverted, `(T, 1)`.
    let inputScale, postScale: Matrix<Float>
    /// q, k (both rotated) and v side by side.
    let qkv: Matrix<Float>
    let attention: Matrix<Float>
    /// Log-sum-exp of the scores: `(heads, rows)` for each sequence in turn.
    let statistics: Matrix<Float>
    let gateUp: Matrix<Float>
    /// `x Aᵀ` of the adapter, for each place.
    let u: [Matrix<Float>]

    init(
        _ rows: Int, _ c: LlamaConfiguration, _ ranks: [Int], _ layout: inout Workspace.Layout
    ) {
        x = layout.matrix(rows, c.hidden)
        middle = layout.matrix(rows, c.hidden)
        inputScale = layout.matrix(rows, 1)
        postScale = layout.matrix(rows, 1)
        qkv = layout.matrix(rows, c.projections)
        attention = layout.matrix(rows, c.queries)
        statistics = layout.matrix(c.heads, rows)
        gateUp = layout.matrix(rows, 2 * c.intermediate)
        var factors: [Matrix<Float>] = []
        for count in ranks { factors.append(layout.matrix(rows, count)) }
        u = factors
    }

    /// The same with another input.
    init(_ other: BlockActivations, x: Matrix<Float>) {
        self.x = x
        middle = other.middle
        inputScale = other.inputScale
        postScale = other.postScale
        qkv = other.qkv
        attention = other.attention
        statistics = other.statistics
        gateUp = other.gateUp
        u = other.u
    }
}

/// What a forward pass writes and no one reads later.
struct BlockScratch {
    let normed, product: Matrix<Float>

    init(_ rows: Int, _ c: LlamaConfiguration, _ layout: inout Workspace.Layout) {
        normed = layout.matrix(rows, c.hidden)
        product = layout.matrix(rows, c.intermediate)
    }
}

extension LlamaConfiguration {
    /// Columns of a matrix of q, k and v.
    func q(_ qkv: Matrix<Float>) -> MatrixBlock { qkv.columns(0..<queries) }
    func k(_ qkv: Matrix<Float>) -> MatrixBlock { qkv.columns(queries..<queries + keys) }
    func v(_ qkv: Matrix<Float>) -> MatrixBlock { qkv.columns(queries + keys..<projections) }
    /// What is rotated, q and k.
    func qk(_ qkv: Matrix<Float>) -> MatrixBlock { qkv.columns(0..<queries + keys) }

    /// Columns of a matrix of gate and up.
    func gate(_ gateUp: Matrix<Float>) -> MatrixBlock { gateUp.columns(0..<intermediate) }
    func up(_ gateUp: Matrix<Float>) -> MatrixBlock {
        gateUp.columns(intermediate..<2 * intermediate)
    }
}

extension LlamaModel {
    /// One block: `a.x` in, the rest of `a` filled, `output` written (it may be `a.x`; `nil`: not
    /// wanted). `attend` computes `a.attention` of `a.qkv`.
    func forward(
        _ layer: Int, _ a: BlockActivations, _ s: BlockScratch, output: Matrix<Float>?,
        positions: UnsafePointer<Int32>, lora: LoRAFactors?, attend: (BlockActivations) -> Void
    ) {
        let c = configuration, block = blocks[layer]
        RMSNorm.forward(
            s.normed, x: a.x, weight: block.inputNorm, epsilon: c.normEpsilon, scale: a.inputScale)
        block.qkv.multiply(a.qkv, x: s.normed)
        if let bias = block.bias {
            for row in 0..<a.qkv.rows {
                addProduct(bias.columns, 1, bias.base, to: a.qkv.base + row * bias.columns)
            }
        }
        lora?.forward(layer, .qkv, y: a.qkv, x: s.normed, u: a.u[0])
        rotary.apply(c.qk(a.qkv), positions: positions)
        attend(a)

        a.middle.base.update(from: a.x.base, count: a.x.count)
        block.output.multiply(a.middle, x: a.attention, adding: true)
        lora?.forward(layer, .output, y: a.middle, x: a.attention, u: a.u[1])

        RMSNorm.forward(
            s.normed, x: a.middle, weight: block.postNorm, epsilon: c.normEpsilon,
            scale: a.postScale)
        block.gateUp.multiply(a.gateUp, x: s.normed)
        lora?.forward(layer, .gateUp, y: a.gateUp, x: s.normed, u: a.u[2])
        guard let output else { return }
        SwiGLU.forward(s.product, gate: c.gate(a.gateUp), up: c.up(a.gateUp))
        output.base.update(from: a.middle.base, count: a.middle.count)
        block.down.multiply(output, x: s.product, adding: true)
        lora?.forward(layer, .down, y: output, x: s.product, u: a.u[3])
    }
}
