import FPONumerics
import FPOObjectives
import Testing

private func probability(_ loss: some PairRewardLoss, _ d: Double, _ label: Double) -> Double {
    Double.exp(-loss(chosen: d, rejected: 0, margin: 0, label: label).loss)
}

@Test(arguments: [0.0, 0.8, -3, 40]) func davidsonProbabilitiesSumToOne(d: Double) {
    var loss = Davidson()
    loss.tie = 0.7
    let (win, tie, lose) = (
        probability(loss, d, 1), probability(loss, d, 0.5), probability(loss, d, 0)
    )
    #expect(abs(win + tie + lose - 1) < 1e-14)
    // P(tie)² = ν² P(win) P(loss)
    #expect(abs(tie - 0.7 * (win * lose).squareRoot()) < 1e-14)
}

@Test func davidsonWithoutTiesIsBradleyTerry() {
    var loss = Davidson()
    loss.tie = 1e-300
    let a = loss(chosen: 1.2, rejected: 0.4, margin: 0.1, label: 1)
    let b = BradleyTerry()(chosen: 1.2, rejected: 0.4, margin: 0.1, label: 1)
    #expect(abs(a.loss - b.loss) < 1e-14 && abs(a.dChosen - b.dChosen) < 1e-14)
}

@Test func davidsonIsFiniteFarAway() {
    for (d, label) in [(1e4, 1.0), (-1e4, 1), (1e4, 0.5), (0, 0.5)] {
        #expect(Davidson()(chosen: d, rejected: 0, margin: 0, label: label).isFinite)
    }
}
