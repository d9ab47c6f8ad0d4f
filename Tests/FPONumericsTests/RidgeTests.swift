import FPONumerics
import FPOTestSupport
import Testing

private func values(_ buffer: borrowing Buffer<Double>) -> [Double] {
    (0..<buffer.count).map { buffer.base[$0] }
}

/// mpmath, 50 digits, κ = 1/2.
@Test func ridgeMatchesMpmathInBothForms() throws {
    let labels = [1, -0.5, 0.25, 2, -1]
    let tall = try Ridge(Samples<Double>(5, 2) { quarter($0, $1, 0) }.rows, labels, kappa: 0.5)
    #expect(
        relativeError(values(tall.coefficients), [0.22999166319299708, -1.1272405168820342]) < 1e-15
    )
    #expect(relativeError(values(tall.mean) + [tall.meanLabel], [0.05, 0.25, 0.35]) < 1e-15)
    let wide = try Ridge(Samples<Double>(3, 4) { quarter($0, $1, 2) }.rows, labels, kappa: 0.5)
    let expected = [
        0.14814814814814815, -0.39693486590038314, 0.28582375478927203, 0.14814814814814815,
    ]
    #expect(relativeError(values(wide.coefficients), expected) < 1e-15)
}

/// `Xᵀ (u − ū − X β) = κ β`, on both sides of the square.
@Test(arguments: [(40, 7), (7, 40), (9, 9), (10, 9), (9, 10), (1, 3)], 0..<2)
func ridgeSolvesItsNormalEquations(shape: (Int, Int), seed: Int) throws {
    let (n, d) = shape, kappa = 0.3
    var rng = SplitMix64(seed: seed)
    let x = Samples<Double>(n, d, using: &rng)
    let u = (0..<n).map { _ in Double.random(in: -1...1, using: &rng) }
    let fit = try Ridge(x.rows, u, kappa: kappa)
    let beta = values(fit.coefficients), mean = values(fit.mean)
    let errors = (0..<n).map { i in
        u[i] - fit.meanLabel - (0..<d).reduce(0) { $0 + (x[i, $1] - mean[$1]) * beta[$1] }
    }
    let slope = (0..<d).map { j in
        (0..<n).reduce(0) { $0 + (x[$1, j] - mean[j]) * errors[$1] }
    }
    #expect(relativeError(slope, beta.map { kappa * $0 }) < 1e-11)
}
