public import FPONumerics

/// A reward `r(y)` of an action `y (d)`, differentiable in its parameters.
///
/// Batches are matrices with one action to a row. `parameters (1, p)` is a flat vector in the
/// order of `layout`; so are gradients `g = ∇ᵩ r` and directions. Passes take scratch from the
/// arena and allocate nothing else.
///
/// `forward` and `backward` fill a tape, the views that the later passes read; it is valid until
/// the arena's scope ends.
public protocol RewardModel<Element>: Sendable {
    associatedtype Element: Scalar
    associatedtype Tape

    /// `d`, the number of columns of an action.
    var dimension: Int { get }
    var layout: ParameterLayout { get }

    /// What a tape takes from the arena for each row.
    var tapeCount: Int { get }

    func forward(
        _ input: Matrix<Element>, parameters: Matrix<Element>, arena: inout Arena<Element>
    ) -> Tape

    /// The rewards `(B, 1)` that `forward` found.
    func reward(_ tape: Tape) -> Matrix<Element>

    /// Fills in the tape what all the following passes need: the derivatives of each reward in the
    /// layers' outputs.
    func backward(_ tape: Tape, parameters: Matrix<Element>)

    /// `dParameters += Σ_b s_b g_b`, `scale (B, 1)`.
    func gradient(dParameters: Matrix<Element>, scale: Matrix<Element>, tape: Tape)

    /// `dParameters += g_b` for one row `b`.
    func gradient(dParameters: Matrix<Element>, row: Int, tape: Tape)

    /// `out_b += s ⟨g_b, g′_b⟩`, where `g′` belongs to another tape, with no gradient formed.
    /// `out (B, 1)`.
    func gradientDot(_ out: Matrix<Element>, scale: Element, _ tape: Tape, _ other: Tape)

    /// `out_b += s ⟨g_b, v⟩`. `out (B, 1)`, `direction (1, p)`.
    func gradientDot(
        _ out: Matrix<Element>, scale: Element, _ tape: Tape, along direction: Matrix<Element>)

    /// `outᵢⱼ += s ⟨gᵢ, g′ⱼ⟩`. `out (B, B′)`.
    func gradientGram(_ out: Matrix<Element>, scale: Element, _ tape: Tape, _ other: Tape)
}

/// A reward model that is twice differentiable in the action as well: what a pathwise policy
/// gradient through a penalty needs.
public protocol SmoothRewardModel<Element>: RewardModel {
    /// What a mixed derivative takes from the arena for each row.
    var tangentCount: Int { get }

    /// `dInput += ∇ᵧ r`, `(B, d)`.
    func slope(dInput: Matrix<Element>, tape: Tape, parameters: Matrix<Element>)

    /// `dInput_b += ∇ᵧ ⟨g_b, v⟩` for a direction `v (1, p)` held fixed.
    func mixedDerivative(
        dInput: Matrix<Element>, along direction: Matrix<Element>, tape: Tape,
        parameters: Matrix<Element>, arena: inout Arena<Element>)

    /// `dInput_b += s ∇ᵧ ⟨g_b, g′_b⟩` for the gradients `g′` of another tape (or of this one) held
    /// fixed: with this one and `s = 2` it is `∇ᵧ ‖g_b‖²`.
    func mixedDerivative(
        dInput: Matrix<Element>, scale: Element, alongGradientsOf other: Tape, tape: Tape,
        parameters: Matrix<Element>, arena: inout Arena<Element>)
}
