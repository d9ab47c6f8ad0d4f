import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

private let scalings: [(String, RotaryTable.Scaling)] = [
    ("rotary", .none), ("rotaryLinear", .linear(factor: 4)),
    ("rotaryLlama3", .llama3(factor: 8, low: 1, high: 4, originalLength: 64)),
]

@Test(arguments: 0..<3)
func rotaryMatchesTransformers(_ index: Int) throws {
    let (name, scaling) = scalings[index]
    let values = try expected(name)
    let table = try RotaryTable(
        headDimension: 16, positions: 128, base: 10_000, scaling: scaling)
    let x = floats(wave(1, 160), rows: 5), dy = slope(160, rows: 5)
    let positions: [Int32] = [0, 1, 2, 50, 100]
    table.apply(x, positions: positions)
    table.apply(dy, positions: positions, inverse: true)
    // Transformers keeps its frequencies in float32.
    #expect(relativeError(x.doubles, values[0]) < 1e-5)
    #expect(relativeError(dy.doubles, values[1]) < 1e-5)
}
