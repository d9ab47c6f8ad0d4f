import FPOLayers
public import FPONumerics

/// `r(y) = w · y (+ b)`, the reward model of the linear environment (arXiv:2605.04266).
///
/// Its parameter gradient is `(y, 1)`, its slope `w`: a penalty on the gradient's norm is an
/// action cost.
public struct LinearReward<Element: Scalar>: SmoothRewardModel {
    public let layout: ParameterLayout
    private let weight: Tensor
    private let bias: Tensor?

    public init(dimension: Int, bias: Bool = true) throws(NumericsError) {
        var layout = ParameterLayout()
        weight = try layout.append("weight", 1, dimension)
        self.bias = bias ? try layout.append("bias", 1, 1) : nil
        self.layout = layout
    }

    public struct Tape {
        let input, reward, one: Matrix<Element>
    }

    public var dimension: Int { weight.columns }
    public var tapeCount: Int { 2 }
    public var tangentCount: Int { 0 }

    public func forward(
        _ input: Matrix<Element>, parameters: Matrix<Element>, arena: inout Arena<Element>
    ) -> Tape {
        let tape = Tape(
            input: input, reward: arena.matrix(input.rows, 1), one: arena.matrix(input.rows, 1))
        Linear.forward(
            tape.reward, x: input, weight: weight.view(parameters), bias: bias?.view(parameters))
        tape.one.fill(1)
        return tape
    }

    public func reward(_ tape: Tape) -> Matrix<Element> { tape.reward }

    /// Nothing to do: the derivative of the reward in the one layer's output is 1.
    public func backward(_ tape: Tape, parameters: Matrix<Element>) {}

    public func gradient(dParameters: Matrix<Element>, scale: Matrix<Element>, tape: Tape) {
        let dWeight = weight.view(dParameters)
        Linear.backward(
            dx: nil, dWeight: dWeight, dBias: bias?.view(dParameters), dy: scale, x: tape.input,
            weight: dWeight)
    }

    public func gradient(dParameters: Matrix<Element>, row: Int, tape: Tape) {
        let one = Tape(
            input: tape.input.row(row), reward: tape.reward.row(row), one: tape.one.row(row))
        gradient(dParameters: dParameters, scale: one.one, tape: one)
    }

    public func gradientDot(
        _ out: Matrix<Element>, scale: Element, _ tape: Tape, _ other: Tape
    ) {
        Linear.gradientDot(
            out, scale: scale, dy: tape.one, x: tape.input, dyOther: other.one,
            xOther: other.input, bias: bias != nil)
    }

    public func gradientDot(
        _ out: Matrix<Element>, scale: Element, _ tape: Tape, along direction: Matrix<Element>
    ) {
        Linear.gradientDot(
            out, scale: scale, dy: tape.one, x: tape.input, weightDot: weight.view(direction),
            biasDot: bias?.view(direction))
    }

    public func gradientGram(
        _ out: Matrix<Element>, scale: Element, _ tape: Tape, _ other: Tape
    ) {
        Linear.gradientGram(
            out, scale: scale, dy: tape.one, x: tape.input, dyOther: other.one,
            xOther: other.input, bias: bias != nil)
    }

    public func slope(dInput: Matrix<Element>, tape: Tape, parameters: Matrix<Element>) {
        Linear.backward(
            dx: dInput, dWeight: nil, dBias: nil, dy: tape.one, x: tape.input,
            weight: weight.view(parameters))
    }

    /// `⟨g, v⟩ = v_w · y + v_b`, so its slope is `v_w`.
    public func mixedDerivative(
        dInput: Matrix<Element>, along direction: Matrix<Element>, tape: Tape,
        parameters: Matrix<Element>, arena: inout Arena<Element>
    ) {
        slope(dInput: dInput, tape: tape, parameters: direction)
    }

    public func mixedDerivative(
        dInput: Matrix<Element>, scale: Element, alongGradientsOf other: Tape, tape: Tape,
        parameters: Matrix<Element>, arena: inout Arena<Element>
    ) {
        Linear.addBackwardTangent(
            dInput, scale: scale, dy: tape.one, dyOther: other.one, xOther: other.input)
    }
}
