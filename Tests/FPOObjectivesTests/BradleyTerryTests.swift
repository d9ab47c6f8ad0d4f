import FPOObjectives
import Testing

private func expectTerm(_ term: PairTerm, _ loss: Double, _ slope: Double) {
    #expect(abs(term.loss - loss) < 1e-9)
    #expect(abs(term.dChosen - slope) < 1e-9 && term.dRejected == -term.dChosen)
}

@Test func bradleyTerryGoldenValues() {
    let loss = BradleyTerry()
    expectTerm(loss(chosen: 1.2, rejected: 0.4, margin: 0, label: 1), 0.371100666, -0.310025519)
    expectTerm(loss(chosen: 1.2, rejected: 0.4, margin: 1, label: 1), 0.798138869, -0.549833997)
    expectTerm(loss(chosen: 1.2, rejected: 0.4, margin: 0, label: 0.7), 0.611100666, -0.010025519)
}

@Test func labelSmoothingIsASoftLabel() {
    var smoothed = BradleyTerry()
    smoothed.labelSmoothing = 0.3
    expectTerm(smoothed(chosen: 1.2, rejected: 0.4, margin: 0, label: 1), 0.611100666, -0.010025519)
}

@Test func identicalCompletionsHaveLogTwoAndNoPull() {
    let term = BradleyTerry()(chosen: 3, rejected: 3, margin: 0, label: 0.5)
    #expect(abs(term.loss - 0.6931471805599453) < 1e-15)
    #expect(term.dChosen == 0 && term.dRejected == 0)
}

@Test func centringPullsBothToZero() {
    var loss = BradleyTerry()
    loss.centring = 0.01
    let term = loss(chosen: 1.2, rejected: 0.4, margin: 0, label: 1)
    #expect(abs(term.loss - 0.371100666 - 0.01 * 2.56) < 1e-9)
    #expect(abs(term.dChosen + term.dRejected - 4 * 0.01 * 1.6) < 1e-15)
}

/// Hazard: log(1 + e^x) written out overflows for x = 710.
@Test func farApartRewardsStayFinite() {
    for d in [1e4, -1e4] {
        let term = BradleyTerry()(chosen: d, rejected: -d, margin: 0, label: 1)
        #expect(term.isFinite && abs(term.loss - max(0, -2 * d)) < 1e-9)
    }
    // The slope of a won pair does not vanish by cancellation: σ(d) − 1 = −e^{−d}.
    let won = BradleyTerry()(chosen: 50, rejected: 0, margin: 0, label: 1)
    #expect(abs(won.dChosen / -1.9287498479639178e-22 - 1) < 1e-14)
}
