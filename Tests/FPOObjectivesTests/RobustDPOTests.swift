import FPOObjectives
import Testing

@Test func robustDPOGoldenValues() {
    expectGolden(RobustDPO(), 0.724709648, -0.0637497396, 0.0637497396)
}

/// Hazard: unbounded below. A pair won by far has a loss that falls without end.
@Test func robustDPOIsUnboundedBelow() {
    let won = Response(logProbability: 0, referenceLogProbability: -1e4)
    let lost = Response(logProbability: -1e4, referenceLogProbability: 0)
    #expect(RobustDPO()(chosen: won, rejected: lost).loss < -100)
}
