import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

// Backward passes against finite differences, in double, of the layers' formulas; and the
// differences against torch's gradients.

private typealias Formula = @Sendable ([[Double]]) -> [Double]

/// The gradients of `⟨slope, formula⟩` in each input.
private func differences(_ inputs: [[Double]], _ formula: Formula) -> [[Double]] {
    let slopes = wave(99, formula(inputs).count)
    return inputs.indices.map { i in
        var inputs = inputs
        var values = inputs[i]
        return values.withUnsafeMutableBufferPointer { values in
            let x = Matrix(base: values.baseAddress!, rows: 1, columns: values.count)
            return numericalGradient(at: x) {
                inputs[i] = x.elements
                return zip(slopes, formula(inputs)).reduce(0) { $0 + $1.0 * $1.1 }
            }
        }
    }
}

/// `gradients` hold ones, to which a layer's backward pass added.
private func expectGradients(
    _ gradients: [Matrix<Float>], at inputs: [Matrix<Float>],
    sourceLocation: SourceLocation = #_sourceLocation, of formula: Formula
) {
    for (gradient, expected) in zip(gradients, differences(inputs.map(\.doubles), formula)) {
        #expect(relativeError(added(gradient), expected) < 5e-6, sourceLocation: sourceLocation)
    }
}

private let rms: Formula = {
    LayerReference.rmsNorm($0[0], rows: 3, weight: $0[1], epsilon: 1e-5)
}
private let layerNorm: Formula = {
    LayerReference.layerNorm($0[0], rows: 3, weight: $0[1], bias: $0[2], epsilon: 1e-5)
}

@Test func differencesOfTheFormulasMatchTorch() throws {
    let (x, weight, bias) = (wave(1, 111), wave(2, 37), wave(3, 37))
    let cases: [(String, [[Double]], Formula)] = [
        ("rms", [x, weight], rms), ("layerNorm", [x, weight, bias], layerNorm),
        (
            "swiglu", [wave(1, 63), wave(2, 63)],
            { LayerReference.swiglu(gate: $0[0].map { 4 * $0 }, up: $0[1]) }
        ),
        ("gelu", [wave(1, 63)], { LayerReference.gelu($0[0].map { 5 * $0 }, exact: true) }),
        ("geluTanh", [wave(1, 63)], { LayerReference.gelu($0[0].map { 5 * $0 }, exact: false) }),
    ]
    for (name, inputs, formula) in cases {
        let values = try expected(name)
        #expect(relativeError(formula(inputs), values[0]) < 1e-11, "\(name)")
        for (gradient, value) in zip(differences(inputs, formula), values.dropFirst()) {
            #expect(relativeError(gradient, value) < 1e-8, "\(name)")
        }
    }
}

@Test func rmsNormGradient() {
    let x = floats(wave(5, 3 * 45), rows: 3)
    let weight = floats(wave(6, 45))
    let y = ones(135, rows: 3)
    let scale = ones(3, rows: 3)
    let dx = ones(135, rows: 3)
    let dWeight = ones(45)
    RMSNorm.forward(y, x: x, weight: weight, epsilon: 1e-5, scale: scale)
    RMSNorm.backward(
        dx: dx, dWeight: dWeight, dy: slope(135, rows: 3), x: x, weight: weight, scale: scale)
    expectGradients([dx, dWeight], at: [x, weight], of: rms)
}

@Test func layerNormGradient() {
    let x = floats(wave(5, 3 * 45), rows: 3)
    let weight = floats(wave(6, 45))
    let bias = floats(wave(7, 45))
    let y = ones(135, rows: 3)
    let statistics = ones(6, rows: 3)
    let dx = ones(135, rows: 3)
    let dWeight = ones(45)
    let dBias = ones(45)
    LayerNorm.forward(y, x: x, weight: weight, bias: bias, epsilon: 1e-5, statistics: statistics)
    LayerNorm.backward(
        dx: dx, dWeight: dWeight, dBias: dBias, dy: slope(135, rows: 3), x: x, weight: weight,
        statistics: statistics)
    expectGradients([dx, dWeight, dBias], at: [x, weight, bias], of: layerNorm)
}

@Test func swigluGradient() {
    let gate = floats(wave(5, 80).map { 3 * $0 }, rows: 2)
    let up = floats(wave(6, 80), rows: 2)
    let dGate = ones(80, rows: 2)
    let dUp = ones(80, rows: 2)
    SwiGLU.backward(dGate: dGate, dUp: dUp, dy: slope(80, rows: 2), gate: gate, up: up)
    expectGradients([dGate, dUp], at: [gate, up]) {
        LayerReference.swiglu(gate: $0[0], up: $0[1])
    }
}

@Test(arguments: [GELU.exact, .tanh])
func geluGradient(_ kind: GELU) {
    let x = floats(wave(5, 80).map { 4 * $0 }, rows: 2)
    let dx = ones(80, rows: 2)
    kind.backward(dx: dx, dy: slope(80, rows: 2), x: x)
    expectGradients([dx], at: [x]) { LayerReference.gelu($0[0], exact: kind == .exact) }
}

@Test(arguments: [true, false])
func attentionGradient(_ causal: Bool) throws {
    let (n, heads, groups, D) = (9, 4, 2, 8)
    let attention = Attention(
        heads: heads, keyValueHeads: groups, headDimension: D, causal: causal)
    let q = floats(wave(5, n * heads * D), rows: n)
    let k = floats(wave(6, n * groups * D), rows: n)
    let v = floats(wave(7, n * groups * D), rows: n)
    let out = ones(q.count, rows: n)
    let statistics = ones(heads * n, rows: heads)
    let (dq, dk, dv) = (ones(q.count, rows: n), ones(k.count, rows: n), ones(v.count, rows: n))
    let workspace = try Attention.Workspace(attention, tokens: n, sequences: 1, backward: true)
    attention.forward(
        out, q: q, k: k, v: v, sequences: [0, n], statistics: statistics, workspace: workspace)
    attention.backward(
        dq: dq, dk: dk, dv: dv, dOut: slope(q.count, rows: n), out: out, q: q, k: k, v: v,
        sequences: [0, n], statistics: statistics, workspace: workspace)
    expectGradients([dq, dk, dv], at: [q, k, v]) {
        LayerReference.attention(
            q: $0[0], k: $0[1], v: $0[2], rows: n, heads: heads, groups: groups, dimension: D,
            causal: causal)
    }
}

@Test func crossEntropyGradient() {
    let logits = floats(wave(5, 3 * 41).map { 4 * $0 }, rows: 3)
    let targets: [Int32] = [40, 0, 7]
    let before = floats(logits.doubles, rows: 3)
    let states = ones(18, rows: 3)
    let l = ones(3)
    CrossEntropy.begin(states)
    CrossEntropy.accumulate(states, logits: logits, firstToken: 0, targets: targets)
    CrossEntropy.finish(states, logSumExp: l.base)
    let coefficients = slope(3, rows: 1).doubles.map { Float(-$0) }
    CrossEntropy.gradient(
        logits, firstToken: 0, targets: targets, logSumExp: l.base, coefficients: coefficients)
    for i in 0..<logits.count { logits.base[i] += 1 }
    expectGradients([logits], at: [before]) {
        LayerReference.logProbability($0[0], targets: targets.map(Int.init))
    }
}
