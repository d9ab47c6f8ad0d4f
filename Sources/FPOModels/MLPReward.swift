import FPOLayers
public import FPONumerics

/// One reward from a chain of `Linear` layers with `Softplus` between them: the reward model of
/// the neural environment (arXiv:2605.04266) is 10 → 32 → 32 → 1.
///
///     x₀ = y,   zₖ = xₖ Wₖᵀ + bₖ,   xₖ₊₁ = softplus(zₖ),   r = z_last
///
/// Tensors are named as in `torch.nn.Sequential(Linear, Softplus, Linear, ...)`: `net.0.weight`,
/// `net.0.bias`, `net.2.weight`, ...
///
/// ## Derivation
/// docs/math/mixed-derivative.md
public struct MLPReward<Element: Scalar>: SmoothRewardModel {
    struct Layer: Sendable {
        let weight, bias: Tensor
        /// Units of all layers before this one.
        let offset: Int
        var width: Int { weight.rows }
    }

    public let layout: ParameterLayout
    let layers: [Layer]
    /// Units of all layers: hidden ones and the reward.
    let units: Int

    /// Widths are at least 1. Without a hidden layer it is an affine reward.
    public init(dimension: Int, hidden: [Int]) throws(NumericsError) {
        var layout = ParameterLayout()
        var layers: [Layer] = []
        var inputs = dimension
        var units = 0
        for (k, width) in (hidden + [1]).enumerated() {
            let weight = try layout.append("net.\(2 * k).weight", width, inputs)
            let bias = try layout.append("net.\(2 * k).bias", width, 1)
            layers.append(Layer(weight: weight, bias: bias, offset: units))
            units += width
            inputs = width
        }
        self.layout = layout
        self.layers = layers
        self.units = units
    }

    /// For each layer `z` and `x` (the next layer's input), and the reward's derivatives in them.
    public struct Tape {
        let input: Matrix<Element>
        let z, x, dz, dx: Blocks

        init(input: Matrix<Element>, units: Int, arena: inout Arena<Element>) {
            self.input = input
            z = Blocks(input.rows, units, &arena)
            x = Blocks(input.rows, units, &arena)
            dz = Blocks(input.rows, units, &arena)
            dx = Blocks(input.rows, units, &arena)
        }

        /// Input of layer `k`.
        func input(_ k: Int, _ layers: [Layer]) -> Matrix<Element> {
            k == 0 ? input : x[layers[k - 1]]
        }
    }

    /// A `(B, width)` matrix for each layer, one after the other.
    struct Blocks {
        let base: UnsafeMutablePointer<Element>
        let rows: Int

        init(_ rows: Int, _ units: Int, _ arena: inout Arena<Element>) {
            base = arena.matrix(rows, units).base
            self.rows = rows
        }

        subscript(layer: Layer) -> Matrix<Element> {
            Matrix(base: base + rows * layer.offset, rows: rows, columns: layer.width)
        }
    }

    public var dimension: Int { layers[0].weight.columns }
    public var tapeCount: Int { 4 * units }
    public var tangentCount: Int { 4 * units }

    public func forward(
        _ input: Matrix<Element>, parameters: Matrix<Element>, arena: inout Arena<Element>
    ) -> Tape {
        let tape = Tape(input: input, units: units, arena: &arena)
        for k in layers.indices {
            let layer = layers[k]
            Linear.forward(
                tape.z[layer], x: tape.input(k, layers), weight: layer.weight.view(parameters),
                bias: layer.bias.view(parameters))
            if k + 1 < layers.count { Softplus.forward(tape.x[layer], x: tape.z[layer]) }
        }
        return tape
    }

    public func reward(_ tape: Tape) -> Matrix<Element> { tape.z[layers[layers.count - 1]] }

    public func backward(_ tape: Tape, parameters: Matrix<Element>) {
        tape.dz[layers[layers.count - 1]].fill(1)
        for k in layers.indices.dropFirst().reversed() {
            let layer = layers[k], below = layers[k - 1]
            tape.dx[below].fill(0)
            tape.dz[below].fill(0)
            Linear.backward(
                dx: tape.dx[below], dWeight: nil, dBias: nil, dy: tape.dz[layer], x: tape.x[below],
                weight: layer.weight.view(parameters))
            Softplus.backward(dx: tape.dz[below], dy: tape.dx[below], x: tape.z[below])
        }
    }

    public func gradient(dParameters: Matrix<Element>, scale: Matrix<Element>, tape: Tape) {
        for k in layers.indices {
            let dWeight = layers[k].weight.view(dParameters)
            Linear.backward(
                dx: nil, dWeight: dWeight, dBias: layers[k].bias.view(dParameters),
                dy: tape.dz[layers[k]], x: tape.input(k, layers), weight: dWeight, scale: scale)
        }
    }

    public func gradient(dParameters: Matrix<Element>, row: Int, tape: Tape) {
        for k in layers.indices {
            let dWeight = layers[k].weight.view(dParameters)
            Linear.backward(
                dx: nil, dWeight: dWeight, dBias: layers[k].bias.view(dParameters),
                dy: tape.dz[layers[k]].row(row), x: tape.input(k, layers).row(row),
                weight: dWeight)
        }
    }

    public func gradientDot(
        _ out: Matrix<Element>, scale: Element, _ tape: Tape, _ other: Tape
    ) {
        for k in layers.indices {
            Linear.gradientDot(
                out, scale: scale, dy: tape.dz[layers[k]], x: tape.input(k, layers),
                dyOther: other.dz[layers[k]], xOther: other.input(k, layers), bias: true)
        }
    }

    public func gradientDot(
        _ out: Matrix<Element>, scale: Element, _ tape: Tape, along direction: Matrix<Element>
    ) {
        for k in layers.indices {
            Linear.gradientDot(
                out, scale: scale, dy: tape.dz[layers[k]], x: tape.input(k, layers),
                weightDot: layers[k].weight.view(direction),
                biasDot: layers[k].bias.view(direction))
        }
    }

    public func gradientGram(
        _ out: Matrix<Element>, scale: Element, _ tape: Tape, _ other: Tape
    ) {
        for k in layers.indices {
            Linear.gradientGram(
                out, scale: scale, dy: tape.dz[layers[k]], x: tape.input(k, layers),
                dyOther: other.dz[layers[k]], xOther: other.input(k, layers), bias: true)
        }
    }

    public func slope(dInput: Matrix<Element>, tape: Tape, parameters: Matrix<Element>) {
        Linear.backward(
            dx: dInput, dWeight: nil, dBias: nil, dy: tape.dz[layers[0]], x: tape.input,
            weight: layers[0].weight.view(parameters))
    }
}

// The mixed derivative is symmetric: it is also the derivative of the slope `∇ᵧ r` when the
// parameters move along the direction. One forward and one backward pass over tangents give it
// (Pearlmutter's R-operator).
extension MLPReward {
    private enum Direction {
        case parameters(Matrix<Element>)
        case gradients(Tape, scale: Element)
    }

    public func mixedDerivative(
        dInput: Matrix<Element>, along direction: Matrix<Element>, tape: Tape,
        parameters: Matrix<Element>, arena: inout Arena<Element>
    ) {
        mixedDerivative(dInput, .parameters(direction), tape, parameters, &arena)
    }

    public func mixedDerivative(
        dInput: Matrix<Element>, scale: Element, alongGradientsOf other: Tape, tape: Tape,
        parameters: Matrix<Element>, arena: inout Arena<Element>
    ) {
        mixedDerivative(dInput, .gradients(other, scale: scale), tape, parameters, &arena)
    }

    private func mixedDerivative(
        _ dInput: Matrix<Element>, _ direction: Direction, _ tape: Tape,
        _ parameters: Matrix<Element>, _ arena: inout Arena<Element>
    ) {
        arena.scope { arena in
            // Its input stays what it is; its other fields are tangents.
            let dot = Tape(input: tape.input, units: units, arena: &arena)
            for k in layers.indices.dropLast() {
                forwardTangent(k, dot, direction, tape, parameters)
                Softplus.forwardTangent(
                    dot.x[layers[k]], xDot: dot.z[layers[k]], x: tape.z[layers[k]])
            }
            for k in layers.indices.dropFirst().reversed() {
                let below = layers[k - 1]
                backwardTangent(k, dot.dx[below], dot, direction, tape, parameters)
                Softplus.backwardTangent(
                    dxDot: dot.dz[below], dyDot: dot.dx[below], xDot: dot.z[below],
                    dy: tape.dx[below], x: tape.z[below])
            }
            backwardTangent(0, dInput, dot, direction, tape, parameters)
        }
    }

    /// `żₖ` from `ẋₖ`, which is zero for the first layer.
    private func forwardTangent(
        _ k: Int, _ dot: Tape, _ direction: Direction, _ tape: Tape, _ parameters: Matrix<Element>
    ) {
        let layer = layers[k], x = tape.input(k, layers), weight = layer.weight.view(parameters)
        switch direction {
        case .parameters(let direction):
            let weightDot = layer.weight.view(direction), biasDot = layer.bias.view(direction)
            if k == 0 {
                Linear.forward(dot.z[layer], x: x, weight: weightDot, bias: biasDot)
            } else {
                Linear.forwardTangent(
                    dot.z[layer], xDot: dot.x[layers[k - 1]], weightDot: weightDot,
                    biasDot: biasDot, x: x, weight: weight)
            }
        case .gradients(let other, let scale):
            if k > 0 {
                Linear.forward(dot.z[layer], x: dot.x[layers[k - 1]], weight: weight, bias: nil)
            }
            Linear.addForwardTangent(
                dot.z[layer], scale: scale, x: x, dyOther: other.dz[layer],
                xOther: other.input(k, layers), bias: true)
        }
    }

    /// The tangent of `∂r/∂xₖ`, added to `out`.
    private func backwardTangent(
        _ k: Int, _ out: Matrix<Element>, _ dot: Tape, _ direction: Direction, _ tape: Tape,
        _ parameters: Matrix<Element>
    ) {
        let layer = layers[k], weight = layer.weight.view(parameters)
        switch direction {
        case .parameters(let direction):
            Linear.backwardTangent(
                dxDot: out, dyDot: dot.dz[layer], weightDot: layer.weight.view(direction),
                dy: tape.dz[layer], weight: weight)
        case .gradients(let other, let scale):
            Linear.backward(
                dx: out, dWeight: nil, dBias: nil, dy: dot.dz[layer], x: tape.input(k, layers),
                weight: weight)
            Linear.addBackwardTangent(
                out, scale: scale, dy: tape.dz[layer], dyOther: other.dz[layer],
                xOther: other.input(k, layers))
        }
    }
}
