import FPOObjectives
import Testing

@Test func fDPOGoldenValues() {
    expectGolden(ForwardKLDPO(), 0.849044506, -0.4227844112, 0.2564317079)
    expectGolden(JensenShannonDPO(), 0.714649229, -0.0449766929, 0.0417483176)
    expectGolden(AlphaDivergenceDPO(), 0.755081973, -0.1440765251, 0.1122069098)
}

@Test func alphaDivergenceInterpolates() {
    var one = AlphaDivergenceDPO(), zero = AlphaDivergenceDPO()
    one.alpha = 1
    zero.alpha = 0
    let (dpo, forward) = (DPO(), ForwardKLDPO())
    let a = one(chosen: goldenChosen, rejected: goldenRejected)
    #expect(a == dpo(chosen: goldenChosen, rejected: goldenRejected))
    let b = zero(chosen: goldenChosen, rejected: goldenRejected)
    #expect(abs(b.loss - forward(chosen: goldenChosen, rejected: goldenRejected).loss) < 1e-15)
}

/// Hazard: `e^{−c}` has no bound. The value is infinite, which the boundary refuses.
@Test func forwardKLOverflowsForACollapsedResponse() {
    let collapsed = Response(logProbability: -1e3, referenceLogProbability: -40)
    #expect(!ForwardKLDPO()(chosen: collapsed, rejected: goldenRejected).isFinite)
}
