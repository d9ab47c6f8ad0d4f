import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct SteeringDirectionTests {
    private func direction(
        _ e: RewardExample<Double>, withReference: Bool, damping: Double, _ solver: SteeringSolver
    ) throws -> [Double] {
        let p = e.model.layout.count
        return try e.filled(1, p) { out in
            try e.model.steeringDirection(
                Matrix(base: out.base, rows: 1, columns: p), training: Rows(e.actions),
                reference: withReference ? Rows(e.references) : nil, policy: Rows(e.references),
                damping: damping, solver: solver, parameters: e.parameters)
        }
    }

    /// torch solves the dense `(p, p)` system.
    @Test(arguments: RewardGolden.all, [false, true])
    func matchesDenseSolve(_ golden: RewardGolden, withReference: Bool) throws {
        let e = try RewardExample(golden, Double.self)
        let expected =
            withReference ? golden.bradleyTerryDirection : golden.squaredErrorDirection
        for solver in [
            SteeringSolver.gram, .conjugateGradient(tolerance: 1e-13, maximumIterations: 500),
        ] {
            var w = try direction(e, withReference: withReference, damping: 0.1, solver)
            if w.count > 100 { w = stride(from: 0, to: w.count, by: 60).map { w[$0] } }
            #expect(relativeError(w, expected) < 1e-10)
        }
    }

    @Test(arguments: RewardGolden.all, [1e-2, 1e-1, 10])
    func gramAndConjugateGradientAgree(_ golden: RewardGolden, damping: Double) throws {
        let e = try RewardExample(golden, Double.self)
        for withReference in [false, true] {
            let gram = try direction(e, withReference: withReference, damping: damping, .gram)
            let iterated = try direction(
                e, withReference: withReference, damping: damping,
                .conjugateGradient(tolerance: 1e-13, maximumIterations: 1000))
            #expect(relativeError(gram, iterated) < 1e-8)
        }
    }

    /// Squared error with a bias in the output, policy samples = training samples: as the damping
    /// goes to zero, the exact effective reward `r − P` is the label itself.
    @Test(arguments: RewardGolden.all.filter(\.bias))
    func effectiveRewardIsTheLabel(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self), p = golden.parameterCount
        let rewards = try e.filled(3, 1) {
            try e.model.rewards($0.base, of: Rows(e.actions), parameters: e.parameters)
        }
        let w = try e.filled(1, p) { out in
            try e.model.steeringDirection(
                Matrix(base: out.base, rows: 1, columns: p), training: Rows(e.actions),
                reference: nil, policy: Rows(e.actions), damping: 1e-9, solver: .gram,
                parameters: e.parameters)
        }
        for (j, value) in w.enumerated() { e.direction.base[j] = value }
        var exact = RewardPenalty<Double>()
        exact.labels = UnsafePointer(e.labels.base)
        exact.direction = e.direction
        let penalties = try e.evaluate(exact).values
        for i in 0..<3 { #expect(abs(rewards[i] - penalties[i] - e.labels[i, 0]) < 1e-6) }
    }

    @Test func errorsAreReported() throws {
        let e = try RewardExample(RewardGolden.all[3], Double.self)
        #expect(throws: NumericsError.self) {
            try direction(
                e, withReference: false, damping: 1e-9,
                .conjugateGradient(tolerance: 1e-15, maximumIterations: 1))
        }
        // A damping far below what the Hessian leaves of double precision.
        #expect(throws: NumericsError.self) {
            try direction(e, withReference: false, damping: 1e-300, .gram)
        }
        for i in 0..<e.parameters.count { e.parameters.base[i] = .nan }
        #expect(throws: NumericsError.self) {
            try direction(e, withReference: false, damping: 0.1, .gram)
        }
    }
}
