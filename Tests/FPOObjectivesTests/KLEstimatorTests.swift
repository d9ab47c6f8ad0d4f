import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

@Test func klEstimatorGoldenValues() {
    for (estimator, value, slope) in [
        (KLEstimator.k1, 0.5, 1.0), (.k2, 0.125, 0.5),
        (.k3, 0.10653065971263342, 0.3934693402873666),
        (.k3Plus, 0.10653065971263342, 0.5),
    ] {
        let term = estimator(0.5)
        #expect(abs(term.value - value) < 1e-16 && abs(term.derivative - slope) < 1e-16)
    }
}

/// mpmath, 50 digits: `e^{−a} − 1 + a` cancels near 0, and the series takes over.
@Test func k3KeepsItsDigitsNearZero() {
    for (a, expected) in [
        (1e-8, 4.9999999833333333e-17), (-1e-3, 5.001667083416681e-4 * 1e-3),
        (9.999e-3, 4.9823799496827824e-5), (1.0001e-2, 4.9843699829329158e-5),
    ] {
        #expect(abs(KLEstimator.k3(a).value / expected - 1) < 1e-12, "\(a)")
    }
    #expect(KLEstimator.k3(0).value == 0 && KLEstimator.k3(0).derivative == 0)
}

/// Hazard: k3 explodes where the reference is much more likely.
@Test func aLimitHoldsK3() {
    #expect(KLEstimator.k3(-1e4).value == .infinity)
    #expect(KLEstimator.k3(-1e4, limit: 10) == (value: 10, derivative: 0))
    #expect(KLEstimator.k3(0.5, limit: 10).value < 0.11)
}

@Test(arguments: [KLEstimator.k1, .k2, .k3], [-2.0, -0.3, 0.004, 0.5, 3])
func klSlopesMatchFiniteDifferences(estimator: KLEstimator, a: Double) throws {
    let buffer = try Buffer<Double>(1)
    buffer.base[0] = a
    let x = Matrix(base: buffer.base, rows: 1, columns: 1)
    let expected = numericalGradient(at: x) { estimator(x[0, 0]).value }
    #expect(relativeError([estimator(a).derivative], expected) < 1e-8)
}

@Test func theControllerIsBounded() {
    func next(_ kl: Double) -> Double {
        AdaptiveKL.next(beta: 0.2, divergence: kl, target: 6, samples: 100, horizon: 10_000)
    }
    #expect(abs(next(6) - 0.2) < 1e-16)
    #expect(abs(next(6.6) - 0.2 * 1.001) < 1e-15)
    #expect(abs(next(1e9) - 0.2 * 1.002) < 1e-15)
    #expect(abs(next(0) - 0.2 * 0.998) < 1e-15)
}
