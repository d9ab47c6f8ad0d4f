import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

@Test(arguments: [GELU.exact, .tanh])
func geluMatchesTorch(_ kind: GELU) throws {
    let values = try expected(kind == .exact ? "gelu" : "geluTanh")
    let x = floats(wave(1, 63).map { 5 * $0 }, rows: 3), y = ones(63, rows: 3),
        dx = ones(63, rows: 3)
    kind.forward(y, x: x)
    kind.backward(dx: dx, dy: slope(63, rows: 3), x: x)
    #expect(relativeError(y.doubles, values[0]) < 1e-6)
    #expect(relativeError(added(dx).map { 5 * $0 }, values[1]) < 3e-6)
}
