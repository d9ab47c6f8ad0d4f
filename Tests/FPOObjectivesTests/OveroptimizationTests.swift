import FPONumerics
import FPOObjectives
import Glibc
import Testing

/// α = 1, β = 0.1: exact curves give their own numbers back.
@Test func exactCurvesAreRecovered() throws {
    let d = (1...8).map { Double($0) / 2 }
    let best = try Overoptimization.bestOfN.fit(
        count: 8, distance: d, gold: d.map { $0 * (1 - 0.1 * $0) })
    #expect(abs(best.alpha - 1) < 1e-13 && abs(best.beta - 0.1) < 1e-13)
    #expect(best.alphaError < 1e-12 && best.betaError < 1e-12)
    let rl = try Overoptimization.reinforcement.fit(
        count: 8, distance: d, gold: d.map { $0 * (1 - 0.1 * log($0)) })
    #expect(abs(rl.alpha - 1) < 1e-13 && abs(rl.beta - 0.1) < 1e-13)
}

@Test func pointsThatDetermineNothingAreRefused() {
    #expect(throws: NumericsError.notPositiveDefinite) {
        _ = try Overoptimization.bestOfN.fit(count: 2, distance: [1, 1], gold: [1, 2])
    }
    #expect(throws: NumericsError.notPositiveDefinite) {
        _ = try Overoptimization.bestOfN.fit(count: 2, distance: [0, 0], gold: [1, 2])
    }
}
