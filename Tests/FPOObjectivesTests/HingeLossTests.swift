import FPOObjectives
import Testing

@Test func hingeLossGoldenValues() {
    expectGolden(HingeLoss(), 1.05, -0.1, 0.1)
}

@Test func hingeIsFlatBeyondItsMargin() {
    let won = Response(logProbability: -1, referenceLogProbability: -11)
    let lost = Response(logProbability: -1, referenceLogProbability: -1)
    let term = HingeLoss()(chosen: won, rejected: lost)
    #expect(term == PairTerm(loss: 0, dChosen: 0, dRejected: 0))
}
