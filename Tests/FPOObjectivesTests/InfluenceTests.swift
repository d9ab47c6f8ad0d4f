import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

/// NumPy: 0.5 G @ R[:3].T, exact.
@Test func influenceMatchesNumPy() throws {
    let g = Samples<Float>(4, 6) { Float(quarter($0, $1, 0)) }
    let others = Samples<Float>(3, 6) { Float(quarter($0, $1, 1)) }
    var out = [Double](repeating: 9, count: 4 * 5)
    try Influence.cross(g.rows, others.rows, learningRate: 0.5, into: &out, leadingDimension: 5)
    let expected = [
        [-0.84375, 1.75, -0.46875], [0.40625, -0.875, 0.59375], [-0.0625, -0.0625, -1.09375],
        [-0.875, 0.40625, 0.65625],
    ]
    for i in 0..<4 { #expect(Array(out[i * 5..<i * 5 + 5]) == expected[i] + [9, 9]) }
}

@Test func selfInfluenceIsTheDiagonal() throws {
    var rng = SplitMix64(seed: 0)
    let g = Samples<Double>(6, 77, using: &rng)
    var own = [Double](repeating: 0, count: 6), cross = [Double](repeating: 0, count: 36)
    try Influence.own(g.rows, learningRate: 0.1, into: &own)
    try Influence.cross(g.rows, g.rows, learningRate: 0.1, into: &cross, leadingDimension: 6)
    #expect(own == (0..<6).map { cross[$0 * 7] })
    #expect(own.allSatisfy { $0 > 0 })
}
