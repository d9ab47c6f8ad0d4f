import FPONumerics
import FPOObjectives
import FPOTestSupport
import Glibc
import Testing

private let cycle = Samples<Double>(3, 3) { i, j in
    [[0.5, 0.7, 0.3], [0.3, 0.5, 0.8], [0.7, 0.2, 0.5]][i][j]
}

private func equilibrium(_ tau: Double, _ reference: [Double]) throws -> [Double] {
    var policy = [0.0, 0, 0]
    _ = try NashMD.equilibrium(
        preference: cycle.rows, reference: reference, tau: tau, tolerance: 1e-10,
        maximumIterations: 1_000_000, into: &policy)
    return policy
}

@Test func regularisedNashGoldenValues() throws {
    let third = [1.0 / 3, 1.0 / 3, 1.0 / 3]
    for (tau, expected) in [
        (0.1, [0.39274, 0.34151, 0.26575]), (0.01, [0.42800, 0.29176, 0.28024]),
    ] {
        let policy = try equilibrium(tau, third)
        for (x, y) in zip(policy, expected) { #expect(abs(x - y) < 6e-6) }
    }
    // A strong leash keeps the reference; a token that it never says stays unsaid.
    let kept = try equilibrium(1e3, [0.5, 0.3, 0.2])
    for (x, y) in zip(kept, [0.5, 0.3, 0.2]) { #expect(abs(x - y) < 1e-3) }
    #expect(try equilibrium(0.1, [0.5, 0.5, 0])[2] == 0)
}

@Test func tooFewStepsAreAnError() {
    var policy = [0.0, 0, 0]
    #expect(throws: NumericsError.self) {
        _ = try NashMD.equilibrium(
            preference: cycle.rows, reference: [0.2, 0.3, 0.5], tau: 0.01, tolerance: 1e-10,
            maximumIterations: 3, into: &policy)
    }
    #expect(policy == [0, 0, 0])
}

@Test func theMixtureIsGeometric() {
    let p = [0.7, 0.2, 0.1], q = [0.1, 0.3, 0.6]
    var logp = [0.0, 0, 0]
    NashMD.mixture(
        vocabulary: 3, logits: p.map { 5 + log($0) }, reference: q.map { log($0) - 2 },
        coefficient: 0.25, into: &logp)
    let weight = zip(p, q).map { exp(0.75 * log($0) + 0.25 * log($1)) }
    let sum = weight.reduce(0, +)
    for v in 0..<3 { #expect(abs(exp(logp[v]) - weight[v] / sum) < 1e-15) }
}

@Test func theAdvantageIsPreferenceLessDivergence() {
    let a = NashMD.advantage(
        preference: 0.8, logProbability: -3, referenceLogProbability: -5, tau: 0.1)
    #expect(abs(a - 0.1) < 1e-15)
}
