import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

@Test func layerNormMatchesTorch() throws {
    let values = try expected("layerNorm")
    let x = floats(wave(1, 111), rows: 3), weight = floats(wave(2, 37)), bias = floats(wave(3, 37))
    let y = ones(111, rows: 3), dx = ones(111, rows: 3), statistics = ones(6, rows: 3)
    let dWeight = ones(37), dBias = ones(37)
    LayerNorm.forward(y, x: x, weight: weight, bias: bias, epsilon: 1e-5, statistics: statistics)
    LayerNorm.backward(
        dx: dx, dWeight: dWeight, dBias: dBias, dy: slope(111, rows: 3), x: x, weight: weight,
        statistics: statistics)
    #expect(relativeError(y.doubles, values[0]) < 1e-6)
    #expect(relativeError(added(dx), values[1]) < 3e-6)
    #expect(relativeError(added(dWeight), values[2]) < 2e-6)
    #expect(relativeError(added(dBias), values[3]) < 2e-6)
}
