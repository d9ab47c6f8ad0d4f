import FPOObjectives
import Testing

/// mpmath, 50 digits.
@Test func alphaPOMatchesMpmath() {
    expectGolden(AlphaPO(), 1.6318917234404493, -0.1359873933261764, 0.101435044097957)
}

@Test func alphaPOTendsToSimPO() {
    var loss = AlphaPO()
    let simPO = SimPO()(chosen: goldenChosen, rejected: goldenRejected)
    loss.alpha = 0
    #expect(abs(loss(chosen: goldenChosen, rejected: goldenRejected).loss - simPO.loss) < 1e-15)
    loss.alpha = 1e-9
    #expect(abs(loss(chosen: goldenChosen, rejected: goldenRejected).loss - simPO.loss) < 1e-8)
}

/// Hazard: on sums `p^{−α}` overflows; on means, only for tokens of probability `e^{−2800}`.
@Test func alphaPOUsesMeans() {
    let long = Response(logProbability: -5000, length: 1000)
    #expect(AlphaPO()(chosen: long, rejected: goldenRejected).isFinite)
    let absurd = Response(logProbability: -5000, length: 1)
    #expect(!AlphaPO()(chosen: absurd, rejected: goldenRejected).isFinite)
}
