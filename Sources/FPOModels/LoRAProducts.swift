import FPONumerics

/// Factors of an adapter at work: the flat vector, the layout that gives it meaning, and in training
/// the key of the dropout masks.
struct LoRAFactors {
    let layout: LoRALayout
    let scale: Float
    let values: UnsafeMutablePointer<Float>
    /// Kept with probability `1 − dropout`; `nil` where nothing is dropped.
    var dropout: Dropout?

    struct Dropout {
        let probability: Float
        let uniform: @Sendable (UInt64, Int, UnsafeMutablePointer<Float>) -> Void
        /// A key for each row of the chunk.
        let keys: UnsafePointer<UInt64>
        /// Room for a masked input and for the draws of a mask, `(T, inputs)` each.
        let scratch, draws: UnsafeMutablePointer<Float>
    }

    /// Columns of `u` that ``forward`` fills at a place of a layer.
    func ranks(_ layer: Int, _ place: LoRAGroup.Place) -> Int { layout[layer, place]?.ranks ?? 0 }

    /// `u ← x Aᵀ` and `y += scale u Bᵀ`, for all targets of a place at once.
    func forward(
        _ layer: Int, _ place: LoRAGroup.Place, y: Matrix<Float>, x: Matrix<Float>,
        u: Matrix<Float>
    ) {
        guard let group = layout[layer, place] else { return }
        reduce(layer, place, x: x, u: u)
        for (k, target) in group.targets.enumerated() {
            GEMM.multiply(
                y.columns(target.columns), u.columns(group.columns(k)), b(group, target),
                transposeB: true, alpha: scale, adding: true)
        }
    }

    /// `u ← x Aᵀ` alone.
    func reduce(_ layer: Int, _ place: LoRAGroup.Place, x: Matrix<Float>, u: Matrix<Float>) {
        guard let group = layout[layer, place] else { return }
        GEMM.multiply(u, masked(x, layer, place), a(group), transposeB: true)
    }

    /// The gradients of ``forward``: `dA += duᵀ x`, `dB += scale dyᵀ u` and, where wanted,
    /// `dx += du A`, with `du = scale dy B` in `scratch`, which is as wide as `u` at least.
    func backward(
        _ layer: Int, _ place: LoRAGroup.Place, gradient: UnsafeMutablePointer<Float>,
        dx: Matrix<Float>?, dy: Matrix<Float>, x: Matrix<Float>, u: Matrix<Float>,
        scratch: Matrix<Float>
    ) {
        guard let group = layout[layer, place] else { return }
        let derivatives = LoRAFactors(layout: layout, scale: scale, values: gradient)
        let du = Matrix(base: scratch.base, rows: x.rows, columns: group.ranks)
        for (k, target) in group.targets.enumerated() {
            let dy = dy.columns(target.columns), columns = group.columns(k)
            GEMM.multiply(du.columns(columns), dy, b(group, target), alpha: scale)
            GEMM.multiply(
                derivatives.b(group, target), dy, u.columns(columns), transposeA: true,
                alpha: scale, adding: true)
        }
        GEMM.multiply(
            derivatives.a(group), du, masked(x, layer, place), transposeA: true, adding: true)
        guard let dx else { return }
        if let dropout {
            let dMasked = Matrix(base: dropout.scratch, rows: x.rows, columns: group.inputs)
            GEMM.multiply(dMasked, du, a(group))
            draw(dropout, layer, place, dx, to: dropout.draws) { i, draw, factor in
                dx.base[i] += draw < dropout.probability ? 0 : factor * dMasked.base[i]
            }
        } else {
            GEMM.multiply(dx, du, a(group), adding: true)
        }
    }

    private func a(_ group: LoRAGroup) -> Matrix<Float> {
        Matrix(base: values + group.offset, rows: group.ranks, columns: group.inputs)
    }

    private func b(_ group: LoRAGroup, _ target: LoRAGroup.Target) -> Matrix<Float> {
        Matrix(base: values + target.offset, rows: target.columns.count, columns: group.rank)
    }

    /// `x` with the layer's mask on it, or `x` itself.
    private func masked(
        _ x: Matrix<Float>, _ layer: Int, _ place: LoRAGroup.Place
    ) -> Matrix<Float> {
        guard let dropout else { return x }
        let out = dropout.scratch
        draw(dropout, layer, place, x, to: out) { i, draw, factor in
            out[i] = draw < dropout.probability ? 0 : factor * x.base[i]
        }
        return Matrix(base: out, rows: x.rows, columns: x.columns)
    }

    /// Draws the mask of a place of a layer, of the shape of `x`, and calls `body` with the place
    /// of each element, its draw and `1 / (1 - p)`.
    @inline(__always)
    private func draw(
        _ dropout: Dropout, _ layer: Int, _ place: LoRAGroup.Place, _ x: Matrix<Float>,
        to draws: UnsafeMutablePointer<Float>, _ body: (Int, Float, Float) -> Void
    ) {
        let stream = UInt64(layer * LoRAGroup.Place.allCases.count + place.rawValue)
        let n = x.columns, factor = 1 / (1 - dropout.probability)
        ThreadPool.shared.run(items: x.rows, cost: 16 * n) { range in
            for row in range {
                let key = RandomKey(value: dropout.keys[row]).fold(stream)
                dropout.uniform(key.value, n, draws + row * n)
                for i in row * n..<(row + 1) * n { body(i, draws[i], factor) }
            }
        }
    }
}
