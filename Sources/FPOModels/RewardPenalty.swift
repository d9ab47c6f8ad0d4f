public import FPONumerics

/// The penalty `P = e A` of an action, overconfidence times alignment, and its slope in the action
/// (arXiv:2605.04266). What is absent decides which penalty it is.
///
///     e   1 without labels (practical); r − u, or σ(r − r₀) − u with references (relaxed, and
///         residual with an estimated label u)
///     v   g, or g − g₀ with references
///     A   ⟨v, w⟩ with a direction w (exact); else ⟨v, g⟩, or ⟨v, v⟩ if shift-invariant
///
///     ∇P = A ∇e + e ∇A,   ∇e = ∇r − ∇u, or σ(1 − σ) ∇r − ∇u
///
/// The references and the direction do not move with the action.
public struct RewardPenalty<Element: Scalar> {
    public var reference: Rows<Element>?
    public var labels: UnsafePointer<Element>?
    /// `∇u`, a row for each label; `nil` holds the labels constant.
    public var labelSlopes: Rows<Element>?
    /// `w (1, p)`.
    public var direction: Matrix<Element>?
    public var shiftInvariant = false

    public init() {}

    /// `penaltyᵢ ← P(yᵢ)`, and `slopeᵢ ← ∇P(yᵢ)` where wanted.
    public func callAsFunction<Model: SmoothRewardModel<Element>>(
        _ penalties: UnsafeMutablePointer<Element>, slopes: MutableRows<Element>?,
        of actions: Rows<Element>, model: Model, parameters: Matrix<Element>
    ) throws(NumericsError) {
        let scratch = slopes == nil ? 3 : 3 + 2 * model.dimension + model.tangentCount
        try model.forEachBatch(
            actions, reference, backward: true, parameters: parameters, scratch: scratch
        ) { range, tape, other, arena in
            let alignment = arena.matrix(range.count, 1)
            align(alignment, model, tape, other, &arena)
            for (row, i) in range.enumerated() {
                let margin = margin(model, row, tape, other)
                penalties[i] = overconfidence(margin, i) * alignment[row, 0]
            }
            guard let slopes else { return }
            let dReward = arena.matrix(range.count, model.dimension)
            let dAlignment = arena.matrix(range.count, model.dimension)
            model.slope(dInput: dReward, tape: tape, parameters: parameters)
            alignSlope(dAlignment, model, tape, other, parameters, &arena)
            for (row, i) in range.enumerated() {
                let margin = margin(model, row, tape, other)
                let e = overconfidence(margin, i), a = alignment[row, 0]
                // de/dr; without labels e is constant.
                let s = sigmoid(margin)
                let rate: Element = labels == nil ? 0 : other == nil ? 1 : s * (1 - s)
                for j in 0..<model.dimension {
                    let dLabel = labelSlopes?[i][j] ?? 0
                    slopes[i].base[j] =
                        a * (rate * dReward[row, j] - dLabel) + e * dAlignment[row, j]
                }
            }
        }
    }

    /// `r`, or `r − r₀`.
    private func margin<Model: RewardModel<Element>>(
        _ model: Model, _ row: Int, _ tape: Model.Tape, _ other: Model.Tape?
    ) -> Element {
        let r = model.reward(tape)[row, 0]
        return if let other { r - model.reward(other)[row, 0] } else { r }
    }

    private func overconfidence(_ margin: Element, _ i: Int) -> Element {
        guard let labels else { return 1 }
        return (reference == nil ? margin : sigmoid(margin)) - labels[i]
    }

    /// `alignment ← A`. Each product is summed alone, so that they cancel at the reference.
    private func align<Model: RewardModel<Element>>(
        _ alignment: Matrix<Element>, _ model: Model, _ tape: Model.Tape, _ other: Model.Tape?,
        _ arena: inout Arena<Element>
    ) {
        let cross = arena.matrix(alignment.rows, 1), square = arena.matrix(alignment.rows, 1)
        if let direction {
            model.gradientDot(alignment, scale: 1, tape, along: direction)
            if let other { model.gradientDot(cross, scale: 1, other, along: direction) }
        } else {
            model.gradientDot(alignment, scale: 1, tape, tape)
            if let other { model.gradientDot(cross, scale: 1, tape, other) }
        }
        let isSquare = shiftInvariant && direction == nil
        if isSquare, let other { model.gradientDot(square, scale: 1, other, other) }
        for row in 0..<alignment.rows {
            let a = alignment[row, 0] - cross[row, 0]
            // A squared norm: what is below zero is rounding.
            alignment[row, 0] =
                isSquare && other != nil ? max(a - cross[row, 0] + square[row, 0], 0) : a
        }
    }

    /// `dAlignment += ∇A`
    private func alignSlope<Model: SmoothRewardModel<Element>>(
        _ dAlignment: Matrix<Element>, _ model: Model, _ tape: Model.Tape, _ other: Model.Tape?,
        _ parameters: Matrix<Element>, _ arena: inout Arena<Element>
    ) {
        if let direction {
            model.mixedDerivative(
                dInput: dAlignment, along: direction, tape: tape, parameters: parameters,
                arena: &arena)
            return
        }
        model.mixedDerivative(
            dInput: dAlignment, scale: 2, alongGradientsOf: tape, tape: tape,
            parameters: parameters, arena: &arena)
        guard let other else { return }
        model.mixedDerivative(
            dInput: dAlignment, scale: shiftInvariant ? -2 : -1, alongGradientsOf: other,
            tape: tape, parameters: parameters, arena: &arena)
    }
}
