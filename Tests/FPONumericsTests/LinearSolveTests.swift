import FPONumerics
import FPOTestSupport
import Testing

/// `B Bᵀ + I` of quarters, as NumPy has it; the upper triangle is NaN where `lowerOnly`.
private func goldenMatrix(lowerOnly: Bool) -> Samples<Double> {
    let rows = [
        [3.875, -1.4375, -0.25, -0.4375], [-1.4375, 3.375, -0.6875, -0.3125],
        [-0.25, -0.6875, 3.3125, -1.5625], [-0.4375, -0.3125, -1.5625, 3.6875],
    ]
    return Samples(4, 4) { lowerOnly && $1 > $0 ? .nan : rows[$0][$1] }
}

private let rightHandSides = Samples<Double>(4, 2) {
    [[-0.25, 0.5], [-1.25, -0.5], [0.5, 1.25], [-0.5, 0.25]][$0][$1]
}

/// mpmath, 50 digits.
private let solutions = [
    [-0.30453119751111499, -0.54713310415404337, -0.1105688828106706, -0.26494247412906418],
    [0.24754270891582204, 0.10953877018883148, 0.58614031234634629, 0.35481356986463676],
]

@Test func choleskyMatchesMpmathAndReadsTheLowerTriangle() throws {
    var x = [Double](repeating: 9, count: 4 * 3)
    try Cholesky.solve(
        goldenMatrix(lowerOnly: true).rows, rightHandSides.rows, into: &x, leadingDimension: 3)
    for j in 0..<2 {
        #expect(relativeError((0..<4).map { x[$0 * 3 + j] }, solutions[j]) < 1e-15)
    }
    #expect((0..<4).allSatisfy { x[$0 * 3 + 2] == 9 })
}

@Test func conjugateGradientMatchesMpmath() throws {
    let b = (0..<4).map { rightHandSides[$0, 0] }
    var x = [Double](repeating: 0, count: 4)
    let iterations = try conjugateGradient(
        goldenMatrix(lowerOnly: false).rows, rightHandSide: b, tolerance: 1e-15,
        maximumIterations: 100, into: &x)
    #expect(relativeError(x, solutions[0]) < 1e-14)
    #expect((1...8).contains(iterations))
}

@Test(arguments: [1, 2, 17, 130], 0..<2)
func bothSolversLeaveASmallResidual(n: Int, seed: Int) throws {
    var rng = SplitMix64(seed: seed)
    let root = Samples<Double>(n, n, using: &rng)
    let a = Samples<Double>(n, n) { i, j in
        (0..<n).reduce(i == j ? 0.5 : 0) { $0 + root[i, $1] * root[j, $1] }
    }
    let b = (0..<n).map { _ in Double.random(in: -1...1, using: &rng) }
    func residual(_ x: [Double]) -> Double {
        let r = (0..<n).map { i in b[i] - (0..<n).reduce(0) { $0 + a[i, $1] * x[$1] } }
        let square = { (v: [Double]) in v.reduce(0) { $0 + $1 * $1 } }
        return (square(r) / square(b)).squareRoot()
    }
    var direct = [Double](repeating: 0, count: n), iterative = direct
    let column = Samples<Double>(n, 1) { i, _ in b[i] }
    try Cholesky.solve(a.rows, column.rows, into: &direct, leadingDimension: 1)
    try _ = conjugateGradient(
        a.rows, rightHandSide: b, tolerance: 1e-10, maximumIterations: 10 * n + 10,
        into: &iterative)
    #expect(residual(direct) < 1e-13)
    #expect(residual(iterative) < 1.001e-10)
}

@Test func indefiniteMatricesAreRefused() {
    let indefinite = Samples<Double>(2, 2) { i, j in i == j ? 1 : 2 }
    let b = Samples<Double>(2, 1) { i, _ in i == 0 ? 1 : -1 }
    var x = [9.0, 9]
    #expect(throws: NumericsError.notPositiveDefinite) {
        try Cholesky.solve(indefinite.rows, b.rows, into: &x, leadingDimension: 1)
    }
    #expect(throws: NumericsError.notPositiveDefinite) {
        try conjugateGradient(
            indefinite.rows, rightHandSide: [1, -1], tolerance: 1e-10, maximumIterations: 50,
            into: &x)
    }
    #expect(x == [9, 9])
}

@Test func aZeroRightHandSideNeedsNoIteration() throws {
    var x = [9.0, 9]
    let identity = Samples<Double>(2, 2) { $0 == $1 ? 1 : 0 }
    let iterations = try conjugateGradient(
        identity.rows, rightHandSide: [0, 0], tolerance: 1e-10, maximumIterations: 0, into: &x)
    #expect(iterations == 0 && x == [0, 0])
}
