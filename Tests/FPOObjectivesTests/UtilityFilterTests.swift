import FPOKernelTypes
import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

/// `U(y) = a + bᵀδ + ½ q ‖δ‖²` about the origin.
private struct Quadratic {
    var a: Double, b: [Double], q: Double

    func callAsFunction(_ y: [Double]) -> Double {
        let square = y.reduce(0) { $0 + $1 * $1 }
        return a + zip(b, y).reduce(0) { $0 + $1.0 * $1.1 } + 0.5 * q * square
    }
}

private func points(
    _ count: Int, around m: [Double], radius: Double, using rng: inout SplitMix64
) -> Samples<Double> {
    Samples(count, m.count) { _, j in m[j] + radius * .random(in: -1...1, using: &rng) }
}

private func row(_ x: Samples<Double>, _ i: Int) -> [Double] { (0..<x.columns).map { x[i, $0] } }

private func mean(_ filter: UtilityFilter) -> [Double] {
    [filter.level] + (0..<filter.dimension).map(filter.slope) + [filter.curvature]
}

private func covariance(_ filter: UtilityFilter) -> [[Double]] {
    let order = filter.dimension + 2
    return (0..<order).map { i in (0..<order).map { filter.covariance(i, $0) } }
}

private func estimate(_ filter: UtilityFilter, _ x: Rows<Double>) -> ([Double], [Double]) {
    let d = filter.dimension
    var utility = [Double](repeating: .nan, count: x.count)
    var slope = [Double](repeating: .nan, count: x.count * d)
    filter.estimate(x, into: &utility, slope: &slope, leadingDimension: d)
    return (utility, slope)
}

/// A prior bends the estimate by its share of the information: 1 / n of the curvature's.
@Test func quadraticUtilityIsRecoveredFromNoiseFreeLabels() throws {
    var rng = SplitMix64(seed: 1)
    let truth = Quadratic(a: 3, b: [1, -2, 0.5], q: -1.5)
    let filter = try UtilityFilter(
        UtilityFilterSettings(), dimension: 3, reference: [0, 0, 0], level: -4, slope: [5, 5, 5])
    let x = points(20_000, around: [0, 0, 0], radius: 1, using: &rng)
    try filter.observe(x.rows, label: (0..<x.count).map { truth(row(x, $0)) })
    #expect(relativeError(mean(filter), [truth.a] + truth.b + [truth.q]) < 1e-3)
    #expect(filter.noise < 0.05)
}

/// With the noise held fixed and the reference at rest, the filter is Bayesian linear regression on
/// `c = [1, δ, ½ ‖δ‖²]` with the precision `Λ = P₀⁻¹ + Σ c cᵀ / R`, R = s² + ¼ h² ‖δ‖⁴.
@Test(arguments: [1, 2, 5], [true, false])
func posteriorIsThatOfBayesianRegression(d: Int, curved: Bool) throws {
    var rng = SplitMix64(seed: d)
    var settings = UtilityFilterSettings()
    settings.estimatesCurvature = curved
    settings.utilityScale = 3
    settings.noiseScale = 0.4
    settings.noiseMemory = 0
    let start = (0..<d).map { _ in Double.random(in: -1...1, using: &rng) }
    let slope = (0..<d).map { _ in Double.random(in: -1...1, using: &rng) }
    let filter = try UtilityFilter(
        settings, dimension: d, reference: start, level: 0.3, slope: slope)
    let x = points(40, around: start, radius: 1.5, using: &rng)
    let u = (0..<x.count).map { _ in Double.random(in: -2...2, using: &rng) }
    try filter.observe(x.rows, label: u)

    // Without a curvature the last of the `d + 2` numbers is no part of the regression.
    let order = d + (curved ? 2 : 1), h = settings.utilityScale / 4
    let prior = [0.3] + slope + [0]
    let deviation =
        [settings.utilityScale] + [Double](repeating: settings.utilityScale / 2, count: d) + [h]
    var precision = [[Double]](repeating: [Double](repeating: 0, count: order), count: order)
    var information = [Double](repeating: 0, count: order)
    for i in 0..<order {
        precision[i][i] = 1 / (deviation[i] * deviation[i])
        information[i] = precision[i][i] * prior[i]
    }
    for n in 0..<x.count {
        let delta = zip(row(x, n), start).map { $0 - $1 }
        let square = delta.reduce(0) { $0 + $1 * $1 }
        let c = [1] + delta + [square / 2]
        let variance = 0.4 * 0.4 + h * h * square * square / 4
        for i in 0..<order {
            information[i] += c[i] * u[n] / variance
            for j in 0..<order { precision[i][j] += c[i] * c[j] / variance }
        }
    }
    let found = mean(filter), P = covariance(filter)
    for i in 0..<order {
        let image = (0..<order).reduce(0) { $0 + precision[i][$1] * found[$1] }
        #expect(abs(image - information[i]) < 1e-10 * (1 + abs(information[i])))
        for j in 0..<order {
            let product = (0..<order).reduce(0) { $0 + precision[i][$1] * P[$1][j] }
            #expect(abs(product - (i == j ? 1 : 0)) < 1e-10)
        }
    }
    #expect(abs(filter.noise - 0.4) < 1e-15)
    if !curved { #expect(filter.curvature == 0 && P[d + 1].allSatisfy { $0 == 0 }) }
}

/// A move expands the same quadratic elsewhere: the estimate stays, its uncertainty grows.
@Test(arguments: 1...4) func movingAloneKeepsTheEstimate(d: Int) throws {
    var rng = SplitMix64(seed: d)
    let truth = Quadratic(a: 1, b: (0..<d).map { Double($0) - 1 }, q: -0.7)
    let origin = [Double](repeating: 0, count: d)
    let filter = try UtilityFilter(
        UtilityFilterSettings(), dimension: d, reference: origin, level: 0, slope: nil)
    let x = points(300, around: origin, radius: 1, using: &rng)
    try filter.observe(x.rows, label: (0..<x.count).map { truth(row(x, $0)) })
    #expect(filter.curvature < 0)
    let probes = points(13, around: origin, radius: 3, using: &rng)
    let before = estimate(filter, probes.rows), P = covariance(filter)
    for _ in 0..<5 {
        try filter.move(to: (0..<d).map { _ in Double.random(in: -2...2, using: &rng) })
    }
    try filter.move(to: origin)
    let after = estimate(filter, probes.rows), grown = covariance(filter)
    #expect(relativeError(after.0, before.0) < 1e-11)
    #expect(relativeError(after.1, before.1) < 1e-11)
    for i in 0...d + 1 { #expect(grown[i][i] > P[i][i]) }
    try filter.move(to: origin)
    #expect(covariance(filter) == grown, "nothing fades at rest")
}

/// One step from the prior, by hand.
@Test func movingAddsTheVarianceOfTheDerivation() throws {
    let filter = try UtilityFilter(
        UtilityFilterSettings(), dimension: 2, reference: [0, 0], level: 0, slope: nil)
    // P₀ = diag(A², (A/ℓ)² I, h²), A = 10, ℓ = 2, h = 2.5; D = (0.6, 0.8), ‖D‖² = 1:
    //     b: (A/ℓ)² + h² D₀² + h² ‖D‖² + ¼ (h/ℓ)² D₀² ‖D‖²,   q: h² + (h/ℓ)² ‖D‖²
    try filter.move(to: [0.6, 0.8])
    let slope = 25 + 6.25 * 0.36 + 6.25 + 0.25 * 1.5625 * 0.36
    #expect(abs(filter.covariance(1, 1) - slope) < 1e-12)
    #expect(abs(filter.covariance(3, 3) - (6.25 + 1.5625)) < 1e-12)
}

@Test(arguments: [1, 3, 8]) func covarianceStaysSymmetricAndPositive(d: Int) throws {
    var rng = SplitMix64(seed: d)
    var position = [Double](repeating: 0, count: d)
    let filter = try UtilityFilter(
        UtilityFilterSettings(), dimension: d, reference: position, level: 0, slope: nil)
    for step in 0..<2000 {
        let radius = 0.1 * Double(2000 - step) / 2000 + 1e-3
        position = position.map { $0 + radius * .random(in: -1...1, using: &rng) }
        try filter.move(to: position)
        let x = points(5, around: position, radius: radius, using: &rng)
        try filter.observe(
            x.rows, label: (0..<5).map { i in row(x, i).reduce(0) { $0 + Double.exp(-$1 * $1) } })
    }
    let P = covariance(filter), order = d + 2
    // In the units of its own diagonal.
    let scaled = try Buffer<Double>(order, order)
    for i in 0..<order {
        #expect(P[i][i] > 0)
        for j in 0..<order {
            let unit = (P[i][i] * P[j][j]).squareRoot()
            #expect(abs(P[i][j] - P[j][i]) < 1e-6 * unit)
            scaled.base[i * order + j] = P[i][j] / unit
        }
    }
    _ = try Cholesky(scaled, order: order)
}

/// Rows fill the lanes, and the last vector is not full.
@Test func estimatesOfManyAreThoseOfEach() throws {
    var rng = SplitMix64(seed: 3)
    let filter = try UtilityFilter(
        UtilityFilterSettings(), dimension: 3, reference: [1, 2, 3], level: 2, slope: [1, 0, -1])
    let x = points(21, around: [1, 2, 3], radius: 1, using: &rng)
    try filter.observe(x.rows, label: (0..<21).map { -row(x, $0).reduce(0) { $0 + $1 * $1 } })
    let all = estimate(filter, x.rows)
    for i in 0..<21 {
        let one = Rows(base: x.rows[i], count: 1, columns: 3, leadingDimension: 3)
        let (utility, slope) = estimate(filter, one)
        #expect(utility[0] == all.0[i])
        #expect(slope == Array(all.1[3 * i..<3 * i + 3]))
        // The estimate is quadratic: central differences are exact up to rounding.
        for j in 0..<3 {
            func moved(_ h: Double) -> Double {
                let y = Samples<Double>(1, 3) { x[i, $1] + ($1 == j ? h : 0) }
                return estimate(filter, y.rows).0[0]
            }
            #expect(abs((moved(0.5) - moved(-0.5)) - slope[j]) < 1e-11)
        }
    }
}

/// A convex estimate would send the policy away for ever.
@Test func aConvexCurvatureIsKnownButNotFollowed() throws {
    var rng = SplitMix64(seed: 4)
    let filter = try UtilityFilter(
        UtilityFilterSettings(), dimension: 2, reference: [0, 0], level: 0, slope: nil)
    let x = points(500, around: [0, 0], radius: 1, using: &rng)
    let truth = Quadratic(a: 0, b: [1, 1], q: 2)
    try filter.observe(x.rows, label: (0..<x.count).map { truth(row(x, $0)) })
    #expect(filter.curvature > 1.5)
    let far = Samples<Double>(1, 2) { _, j in j == 0 ? 10 : 0 }
    let (utility, slope) = estimate(filter, far.rows)
    #expect(abs(utility[0] - (filter.level + 10 * filter.slope(0))) < 1e-12)
    #expect(slope == [filter.slope(0), filter.slope(1)])
}

@Test func whatExceedsDoublePrecisionIsUndone() throws {
    let filter = try UtilityFilter(
        UtilityFilterSettings(), dimension: 2, reference: [0, 0], level: 1, slope: nil)
    let x = Samples<Double>(2, 2) { i, _ in Double(i) }
    let before = (mean(filter), covariance(filter), filter.noise)
    #expect(throws: NumericsError.overflow) { try filter.observe(x.rows, label: [1, 1e300]) }
    #expect(throws: NumericsError.overflow) { try filter.move(to: [1e200, 0]) }
    #expect(mean(filter) == before.0)
    #expect(covariance(filter) == before.1)
    #expect(filter.noise == before.2)
}
