import FPOObjectives
import Testing

@Test func dPOPositiveGoldenValues() {
    expectGolden(DPOPositive(), 1.35005848, -0.4444649395, 0.0740774899)
}

@Test func dpoPositiveIsDPOWhereTheChosenResponseRose() {
    let risen = Response(logProbability: -39, referenceLogProbability: -40, length: 20)
    let a = DPOPositive()(chosen: risen, rejected: goldenRejected)
    #expect(a == DPO()(chosen: risen, rejected: goldenRejected))
}
