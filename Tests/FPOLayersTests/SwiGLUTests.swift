import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

@Test func swigluMatchesTorch() throws {
    let values = try expected("swiglu")
    // gate and up side by side, as one product gives them; torch's gate is a quarter of it.
    let g = wave(1, 63), u = wave(2, 63)
    let both = ones(126, rows: 3), slopes = ones(126, rows: 3), y = ones(63, rows: 3)
    for i in 0..<3 {
        for j in 0..<21 {
            (both[i, j], both[i, 21 + j]) = (Float(4 * g[i * 21 + j]), Float(u[i * 21 + j]))
        }
    }
    let gate = both.columns(0..<21), up = both.columns(21..<42)
    SwiGLU.forward(y, gate: gate, up: up)
    SwiGLU.backward(
        dGate: slopes.columns(0..<21), dUp: slopes.columns(21..<42), dy: slope(63, rows: 3),
        gate: gate, up: up)
    func half(_ first: Int) -> [Double] {
        (0..<63).map { Double(slopes[$0 / 21, first + $0 % 21]) - 1 }
    }
    #expect(relativeError(y.doubles, values[0]) < 1e-6)
    #expect(relativeError(half(0).map { 4 * $0 }, values[1]) < 2e-6)
    #expect(relativeError(half(21), values[2]) < 2e-6)
}
