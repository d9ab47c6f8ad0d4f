import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

private let tight = ExactPenalty.Solver.conjugateGradient(
    tolerance: 1e-13, maximumIterations: 10_000)
private let solvers = [ExactPenalty.Solver.gram, tight]

private func evaluate(
    _ penalty: ExactPenalty, _ e: [Double], _ solver: ExactPenalty.Solver
) throws -> [Double] {
    var out = [Double](repeating: .nan, count: e.count)
    try penalty.evaluate(overconfidence: e, solver: solver, into: &out)
    return out
}

private let gradients = Samples<Double>(4, 6) { quarter($0, $1, 0) }
private let references = Samples<Double>(4, 6) { quarter($0, $1, 1) }
private let overconfidence = [0.5, -1.25, 2, 0.75]
private let curvature = Samples<Double>(1, 4) { [0.25, 0, 0.125, 0.1875][$1] }
private let direction = Samples<Double>(1, 6) { [1, -0.5, 0.25, 2, -1, 0.75][$1] }

/// Golden values: (H + δ I)⁻¹ ḡ by mpmath at 50 digits, with the (p, p) matrix written out.
@Test(arguments: solvers)
func exactMatchesTheDenseSolveForSquaredError(solver: ExactPenalty.Solver) throws {
    let exact = ExactPenalty(gradients: gradients.rows, damping: 0.125)
    let expected = [
        0.38885880193759966, -0.81531877124890935, 1.101242591088245, 0.57254716129614586,
    ]
    #expect(relativeError(try evaluate(exact, overconfidence, solver), expected) < 1e-13)
}

/// One curvature is zero.
@Test(arguments: solvers)
func exactMatchesTheDenseSolveForBradleyTerry(solver: ExactPenalty.Solver) throws {
    let exact = ExactPenalty(
        gradients: gradients.rows, reference: references.rows, curvature: curvature.rows.base,
        damping: 0.125)
    let expected = [
        0.71995282884529568, -4.1107760252383495, 2.9707023172881874, 1.3574499636942657,
    ]
    #expect(relativeError(try evaluate(exact, overconfidence, solver), expected) < 1e-13)
}

/// Damping 2⁻²⁰ and a mean gradient outside the span of the samples. Compared entry by entry: one
/// is 10⁵ times the others.
@Test(arguments: [
    ExactPenalty.Solver.gram, .conjugateGradient(tolerance: 1e-11, maximumIterations: 1000),
])
func exactMatchesTheDenseSolveAtSmallDamping(solver: ExactPenalty.Solver) throws {
    let exact = ExactPenalty(
        gradients: gradients.rows, reference: references.rows, curvature: curvature.rows.base,
        meanGradient: direction.rows.base, damping: 0x1p-20)
    let expected = [
        0.73654585235584397, 3237153.1347751813, 19.826048079928716, 10.793214024078214,
    ]
    for (value, reference) in zip(try evaluate(exact, overconfidence, solver), expected) {
        #expect((value - reference).magnitude < 1e-8 * reference.magnitude)
    }
}

@Test(arguments: [(1, 5), (5, 1), (12, 40), (40, 12), (64, 300)], 0..<2)
func gramAndConjugateGradientAgree(shape: (Int, Int), seed: Int) throws {
    var rng = SplitMix64(seed: seed)
    let g = Samples<Double>(shape.0, shape.1, using: &rng)
    let r = Samples<Double>(shape.0, shape.1, using: &rng)
    let c = Samples<Double>(1, shape.0) { _, j in j % 3 == 0 ? 0 : Double(j % 5) / 4 }
    let e = (0..<shape.0).map { _ in Double.random(in: -2...2, using: &rng) }
    for damping in [1e-3, 1, 1e3] {
        for (reference, curvature) in [(nil, nil), (r.rows, c.rows.base)] {
            let exact = ExactPenalty(
                gradients: g.rows, reference: reference, curvature: curvature, damping: damping)
            let gram = try evaluate(exact, e, .gram)
            let iterative = try evaluate(exact, e, tight)
            #expect(relativeError(iterative, gram, floor: 0) < 1e-8)
        }
    }
}

/// More samples than parameters: at a damping that leaves `S Sᵀ + δ I` singular in double precision,
/// the `(p, p)` system is as good as at none. Golden values: mpmath, 50 digits.
@Test func exactIsAccurateForManySamplesAtTinyDamping() throws {
    let many = Samples<Double>(6, 2) { quarter($0, $1, 0) }
    let exact = ExactPenalty(
        gradients: many.rows, meanGradient: direction.rows.base, damping: 1e-14)
    let expected: [Double] = [
        -0.68436738011378089, 0.71525331888375236, -2.0547277160660722, 2.0262801408831951,
        -0.68599295583851044, 1.1411541587645447,
    ]
    let e = [0.5, -1.25, 2, 0.75, 1, -1]
    #expect(relativeError(try evaluate(exact, e, .gram), expected) < 1e-13)
}

/// δ P → e ⟨v, ḡ⟩ as δ → ∞.
@Test(arguments: solvers)
func infiniteDampingGivesTheRelaxedCrossForm(solver: ExactPenalty.Solver) throws {
    let damping = 0x1p40
    let exact = ExactPenalty(
        gradients: gradients.rows, reference: references.rows,
        meanGradient: direction.rows.base, damping: damping)
    let scaled = try evaluate(exact, overconfidence, solver).map { $0 * damping }
    let expected = (0..<4).map { i in
        overconfidence[i]
            * (0..<6).reduce(0) { sum, j in
                sum + (gradients[i, j] - references[i, j]) * direction[0, j]
            }
    }
    #expect(relativeError(scaled, expected) < 1e-10)
}

/// The oracle identity: with an additive bias in the reward model, the penalised reward is the
/// oracle's utility, r − P = U. More samples than parameters, so that nothing but the bias does it.
@Test(arguments: solvers, 0..<4)
func squaredErrorWithABiasRecoversTheUtility(solver: ExactPenalty.Solver, seed: Int) throws {
    var rng = SplitMix64(seed: seed)
    let g = Samples<Double>(30, 8) { _, j in
        j == 7 ? 1 : Double.random(in: -1...1, using: &rng)
    }
    let reward = (0..<30).map { _ in Double.random(in: -3...3, using: &rng) }
    let utility = (0..<30).map { _ in Double.random(in: -3...3, using: &rng) }
    let e = zip(reward, utility).map { $0 - $1 }
    let exact = ExactPenalty(gradients: g.rows, damping: 1e-8)
    let penalty = try evaluate(exact, e, solver)
    #expect(relativeError(zip(reward, penalty).map { $0 - $1 }, utility) < 1e-6)

    let withoutBias = Samples<Double>(30, 7) { g[$0, $1] }
    let other = try evaluate(
        ExactPenalty(gradients: withoutBias.rows, damping: 1e-8), e, solver)
    #expect(relativeError(zip(reward, other).map { $0 - $1 }, utility) > 1e-2)
}

@Test func exactOnEmptyShapes() throws {
    let none = Samples<Double>(0, 4) { _, _ in 1 }
    #expect(try evaluate(ExactPenalty(gradients: none.rows, damping: 1), [], .gram) == [])
    let flat = Samples<Double>(3, 0) { _, _ in 1 }
    for solver in solvers {
        let exact = ExactPenalty(gradients: flat.rows, damping: 1)
        #expect(try evaluate(exact, [1, 2, 3], solver) == [0, 0, 0])
    }
}

@Test func tooFewIterationsAreAnErrorAndWriteNothing() {
    var rng = SplitMix64(seed: 0)
    let g = Samples<Double>(20, 30, using: &rng)
    let exact = ExactPenalty(gradients: g.rows, damping: 1e-6)
    var out = [Double](repeating: 7, count: 20)
    #expect(throws: NumericsError.self) {
        try exact.evaluate(
            overconfidence: out,
            solver: .conjugateGradient(tolerance: 1e-12, maximumIterations: 2), into: &out)
    }
    #expect(out == [Double](repeating: 7, count: 20))
}
