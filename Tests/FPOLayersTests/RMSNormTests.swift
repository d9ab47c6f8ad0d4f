import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

@Test func rmsNormMatchesTorch() throws {
    let values = try expected("rms")
    let x = floats(wave(1, 111), rows: 3), weight = floats(wave(2, 37)), scale = ones(3, rows: 3)
    let y = ones(111, rows: 3), dx = ones(111, rows: 3), dWeight = ones(37)
    RMSNorm.forward(y, x: x, weight: weight, epsilon: 1e-5, scale: scale)
    RMSNorm.backward(
        dx: dx, dWeight: dWeight, dy: slope(111, rows: 3), x: x, weight: weight, scale: scale)
    #expect(relativeError(y.doubles, values[0]) < 1e-6)
    #expect(relativeError(added(dx), values[1]) < 2e-6)
    #expect(relativeError(added(dWeight), values[2]) < 2e-6)
}

@Test func rmsNormAddsTheResidualFirst() {
    let x = floats(wave(1, 64), rows: 2), residual = floats(wave(2, 64), rows: 2)
    let sum = floats(zip(x.doubles, residual.doubles).map { $0 + $1 }, rows: 2)
    let weight = floats(wave(3, 32)), y = ones(64, rows: 2), z = ones(64, rows: 2)
    RMSNorm.forward(y, x: x, adding: residual, weight: weight, epsilon: 1e-5)
    RMSNorm.forward(z, x: sum, weight: weight, epsilon: 1e-5)
    #expect(x.doubles == sum.doubles && y.doubles == z.doubles)
}
