import FPOKernelTypes
import FPOTraining
import Testing

@Suite struct SteeringPenaltyTests {
    @Test func defaultsOfAKind() {
        for kind in SteeringPenalty.Kind.allCases {
            let p = SteeringPenalty(kind)
            #expect(p.kind == kind)
            #expect(p.weight == (kind == .exact ? 1 : -1), "\(kind)")
            #expect(p.curvature == (kind == .residual ? .identity : .inverse), "\(kind)")
            #expect(p.alignment == (kind == .residual ? .own : .mean), "\(kind)")
            #expect(p.oracleGradient == (kind == .exact ? .yes : .published), "\(kind)")
            #expect(p.estimator == .kalman)
            #expect([p.damping, p.kappa] == [1e-3, 1] && p.estimatorBuffer == 0)
        }
    }

    /// Exact with identity curvature along the own gradient is relaxed; negative weights are the
    /// environment's.
    @Test(arguments: [[], [6, 5]])
    func exactWithoutItsTwoFactorsIsRelaxed(hidden: [Int]) throws {
        let e = smallWorld(hidden: hidden)
        var exact = SteeringPenalty(.exact)
        (exact.curvature, exact.alignment, exact.weight) = (.identity, .own, -1)
        exact.oracleGradient = .published
        let a = play(try simulation(e, exact, seeds: [1, 2]))
        let b = play(try simulation(e, SteeringPenalty(.relaxed), seeds: [1, 2]))
        #expect(a.action == b.action)
        var weighted = SteeringPenalty(.relaxed)
        weighted.weight = e.penaltyWeight
        #expect(try play(simulation(e, weighted, seeds: [1, 2])).action == b.action)
        weighted.weight *= 2
        #expect(try play(simulation(e, weighted, seeds: [1, 2])).action != b.action)
    }

    @Test func publishedOracleGradientsDifferBetweenTheWorlds() throws {
        for (hidden, published) in [([], SteeringPenalty.OracleGradient.yes), ([5], .no)] {
            let e = smallWorld(hidden: hidden)
            let ends = try SteeringPenalty.OracleGradient.allCases.map { choice in
                var p = SteeringPenalty(.relaxed)
                p.oracleGradient = choice
                return (choice, play(try simulation(e, p, seeds: [3])).action)
            }
            let asPublished = ends.first { $0.0 == .published }!.1
            for (choice, action) in ends where choice != .published {
                #expect([action == asPublished] == [choice == published])
            }
        }
    }
}
