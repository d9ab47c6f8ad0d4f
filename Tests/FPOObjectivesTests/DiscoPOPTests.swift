import FPOObjectives
import Testing

@Test func discoPOPGoldenValues() {
    expectGolden(DiscoPOP(), 0.807966432, 0.0651298084, -0.0651298084)
}

/// `m` and `e^{−x}` under- and overflow apart; their product does not.
@Test func discoPOPIsFiniteFarFromZero() {
    let a = Response(logProbability: 0, referenceLogProbability: -1e4)
    let b = Response(logProbability: -1e4, referenceLogProbability: 0)
    let lost = DiscoPOP()(chosen: b, rejected: a), won = DiscoPOP()(chosen: a, rejected: b)
    #expect(abs(lost.loss - 2000) < 1e-9 && abs(lost.dChosen + 0.1) < 1e-12)
    #expect(won.loss >= 0 && won.loss < 1e-300)
}
