public import FPONumerics

/// The affine map `y = x Wᵀ + b`.
///
/// | Name     | Shape    |                             |
/// |----------|----------|-----------------------------|
/// | `x`      | `(B, I)` | one example to a row        |
/// | `weight` | `(O, I)` | as `torch.nn.Linear.weight` |
/// | `bias`   | `(O, 1)` | `nil` for a layer without   |
/// | `y`      | `(B, O)` |                             |
///
/// Outputs come first. Whatever starts with `d` is added to, never overwritten; whatever ends in
/// `Dot` is a directional derivative, along `xDot` and `(weightDot, biasDot)`. An output that is
/// not wanted is `nil`.
///
/// The gradient of one example is an outer product, `∇W = dy xᵀ` and `∇b = dy`. `gradientDot` and
/// the tangents along a gradient use that: they never form it.
///
/// ## Derivation
/// docs/math/mixed-derivative.md
public enum Linear {
    /// `y ← x Wᵀ + b`
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func forward<S: Scalar>(
        _ y: Matrix<S>, x: Matrix<S>, weight: Matrix<S>, bias: Matrix<S>?
    ) {
        let (B, I, O) = dimensions(y, x, weight, bias)
        for b in 0..<B {
            let x = x.base + b * I, y = y.base + b * O
            for o in 0..<O { y[o] = dot(I, x, weight.base + o * I) }
            if let bias { addProduct(O, 1, bias.base, to: y) }
        }
    }

    /// `dx += dy W`, `dW += dyᵀ x`, `db += Σ dy`, with row `b` of `dy` times `scale_b (B, 1)`.
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func backward<S: Scalar>(
        dx: Matrix<S>?, dWeight: Matrix<S>?, dBias: Matrix<S>?,
        dy: Matrix<S>, x: Matrix<S>, weight: Matrix<S>, scale: Matrix<S>? = nil
    ) {
        let (B, I, O) = dimensions(dy, x, weight, dBias)
        if let dx { check(dx, like: x) }
        if let dWeight { check(dWeight, like: weight) }
        precondition(scale == nil || scale!.count == B, "Linear: a scale for each of \(B) rows")
        for b in 0..<B {
            let row = x.base + b * I
            for o in 0..<O {
                let d = scale == nil ? dy[b, o] : scale!.base[b] * dy[b, o]
                if let dx { addProduct(I, d, weight.base + o * I, to: dx.base + b * I) }
                if let dWeight { addProduct(I, d, row, to: dWeight.base + o * I) }
                if let dBias { dBias.base[o] += d }
            }
        }
    }

    /// `ẏ ← ẋ Wᵀ + x Ẇᵀ + ḃ`
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func forwardTangent<S: Scalar>(
        _ yDot: Matrix<S>, xDot: Matrix<S>, weightDot: Matrix<S>, biasDot: Matrix<S>?,
        x: Matrix<S>, weight: Matrix<S>
    ) {
        let (B, I, O) = dimensions(yDot, x, weight, biasDot)
        check(xDot, like: x)
        check(weightDot, like: weight)
        for b in 0..<B {
            let x = x.base + b * I, xDot = xDot.base + b * I, yDot = yDot.base + b * O
            for o in 0..<O {
                yDot[o] = dot(I, xDot, weight.base + o * I) + dot(I, x, weightDot.base + o * I)
            }
            if let biasDot { addProduct(O, 1, biasDot.base, to: yDot) }
        }
    }

    /// `dẋ += dẏ W + dy Ẇ`
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func backwardTangent<S: Scalar>(
        dxDot: Matrix<S>, dyDot: Matrix<S>, weightDot: Matrix<S>, dy: Matrix<S>, weight: Matrix<S>
    ) {
        let (B, I, O) = dimensions(dy, dxDot, weight, nil)
        check(dyDot, like: dy)
        check(weightDot, like: weight)
        for b in 0..<B {
            let out = dxDot.base + b * I
            for o in 0..<O {
                addProduct(I, dyDot[b, o], weight.base + o * I, to: out)
                addProduct(I, dy[b, o], weightDot.base + o * I, to: out)
            }
        }
    }

    /// `outᵢⱼ += s ⟨∇ᵢ, ∇′ⱼ⟩`, where `∇ᵢ` is the gradient in this layer's parameters of example `i`
    /// and `∇′ⱼ` that of example `j` of another batch: `⟨dyᵢ, dy′ⱼ⟩ (⟨xᵢ, x′ⱼ⟩ + 1)`, the `1` only
    /// with a bias. `out (B, B′)`.
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func gradientGram<S: Scalar>(
        _ out: Matrix<S>, scale: S = 1, dy: Matrix<S>, x: Matrix<S>, dyOther: Matrix<S>,
        xOther: Matrix<S>, bias: Bool
    ) {
        let (I, O) = pairs(dy, x, dyOther, xOther)
        precondition(
            out.rows == x.rows && out.columns == xOther.rows,
            "Linear: Gram (\(out.rows), \(out.columns)) of \(x.rows) and \(xOther.rows) examples")
        for i in 0..<x.rows {
            for j in 0..<xOther.rows {
                let products = dot(I, x.base + i * I, xOther.base + j * I) + (bias ? 1 : 0)
                out[i, j] += scale * dot(O, dy.base + i * O, dyOther.base + j * O) * products
            }
        }
    }

    /// `outᵢ += s ⟨∇ᵢ, ∇′ᵢ⟩` for each of the `B` examples: the diagonal of `gradientGram`.
    /// `out (B, 1)`.
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func gradientDot<S: Scalar>(
        _ out: Matrix<S>, scale: S = 1, dy: Matrix<S>, x: Matrix<S>, dyOther: Matrix<S>,
        xOther: Matrix<S>, bias: Bool
    ) {
        let (I, O) = pairs(dy, x, dyOther, xOther)
        precondition(
            x.rows == xOther.rows && out.count == x.rows,
            "Linear: \(out.count) products of \(x.rows) and \(xOther.rows) examples")
        for i in 0..<x.rows {
            let products = dot(I, x.base + i * I, xOther.base + i * I) + (bias ? 1 : 0)
            out.base[i] += scale * dot(O, dy.base + i * O, dyOther.base + i * O) * products
        }
    }

    /// `outᵢ += s ⟨∇ᵢ, (Ẇ, ḃ)⟩ = s ⟨dyᵢ, Ẇ xᵢ + ḃ⟩` for each example. `out (B, 1)`.
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func gradientDot<S: Scalar>(
        _ out: Matrix<S>, scale: S = 1, dy: Matrix<S>, x: Matrix<S>, weightDot: Matrix<S>,
        biasDot: Matrix<S>?
    ) {
        let (B, I, O) = dimensions(dy, x, weightDot, biasDot)
        precondition(out.count == B, "Linear: \(out.count) products of \(B) examples")
        for b in 0..<B {
            let x = x.base + b * I, dy = dy.base + b * O
            var sum: S = 0
            for o in 0..<O { sum += dy[o] * dot(I, x, weightDot.base + o * I) }
            if let biasDot { sum += dot(O, dy, biasDot.base) }
            out.base[b] += scale * sum
        }
    }

    /// What `forwardTangent` gains when the direction of example `b` gains `s ∇′_b`, the gradient
    /// of example `b` of another batch: `ẏ += s (⟨x, x′⟩ + 1) dy′`, the `1` only with a bias.
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func addForwardTangent<S: Scalar>(
        _ yDot: Matrix<S>, scale: S, x: Matrix<S>, dyOther: Matrix<S>, xOther: Matrix<S>, bias: Bool
    ) {
        let (I, O) = pairs(yDot, x, dyOther, xOther)
        precondition(x.rows == xOther.rows, "Linear: \(x.rows) and \(xOther.rows) examples")
        for b in 0..<x.rows {
            let products = dot(I, x.base + b * I, xOther.base + b * I) + (bias ? 1 : 0)
            addProduct(O, scale * products, dyOther.base + b * O, to: yDot.base + b * O)
        }
    }

    /// What `backwardTangent` gains in the same case: `dẋ += s ⟨dy, dy′⟩ x′`.
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func addBackwardTangent<S: Scalar>(
        _ dxDot: Matrix<S>, scale: S, dy: Matrix<S>, dyOther: Matrix<S>, xOther: Matrix<S>
    ) {
        let (I, O) = pairs(dy, dxDot, dyOther, xOther)
        precondition(dy.rows == dyOther.rows, "Linear: \(dy.rows) and \(dyOther.rows) examples")
        for b in 0..<dy.rows {
            let products = dot(O, dy.base + b * O, dyOther.base + b * O)
            addProduct(I, scale * products, xOther.base + b * I, to: dxDot.base + b * I)
        }
    }

    private static func dimensions<S>(
        _ y: Matrix<S>, _ x: Matrix<S>, _ weight: Matrix<S>, _ bias: Matrix<S>?
    ) -> (B: Int, I: Int, O: Int) {
        precondition(
            x.rows == y.rows && x.columns == weight.columns && y.columns == weight.rows,
            """
            Linear: x (\(x.rows), \(x.columns)), W (\(weight.rows), \(weight.columns)), \
            y (\(y.rows), \(y.columns))
            """)
        precondition(
            bias == nil || bias!.count == weight.rows, "Linear: bias of \(bias!.count) elements")
        return (x.rows, x.columns, weight.rows)
    }

    /// The sizes of a pair of batches that passed through one layer.
    private static func pairs<S>(
        _ dy: Matrix<S>, _ x: Matrix<S>, _ dyOther: Matrix<S>, _ xOther: Matrix<S>
    ) -> (I: Int, O: Int) {
        precondition(
            dy.rows == x.rows && dyOther.rows == xOther.rows && dy.columns == dyOther.columns
                && x.columns == xOther.columns,
            """
            Linear: x (\(x.rows), \(x.columns)), dy (\(dy.rows), \(dy.columns)) beside \
            x' (\(xOther.rows), \(xOther.columns)), dy' (\(dyOther.rows), \(dyOther.columns))
            """)
        return (x.columns, dy.columns)
    }

    private static func check<S>(_ view: Matrix<S>, like other: Matrix<S>) {
        precondition(
            view.rows == other.rows && view.columns == other.columns,
            "Linear: (\(view.rows), \(view.columns)) where (\(other.rows), \(other.columns))")
    }
}
