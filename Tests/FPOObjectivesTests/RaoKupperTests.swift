import FPONumerics
import FPOObjectives
import Testing

@Test(arguments: [0.0, 0.8, -3, 12]) func raoKupperProbabilitiesSumToOne(d: Double) {
    let loss = RaoKupper()
    func probability(_ label: Double) -> Double {
        Double.exp(-loss(chosen: d, rejected: 0, margin: 0, label: label).loss)
    }
    #expect(abs(probability(1) + probability(0.5) + probability(0) - 1) < 1e-14)
    #expect(abs(probability(1) - sigmoid(d - 0.5)) < 1e-15)
}

@Test func raoKupperWithoutThresholdIsBradleyTerry() {
    var loss = RaoKupper()
    loss.tie = 1e-300
    let a = loss(chosen: 1.2, rejected: 0.4, margin: 0, label: 1)
    let b = BradleyTerry()(chosen: 1.2, rejected: 0.4, margin: 0, label: 1)
    #expect(abs(a.loss - b.loss) < 1e-15 && abs(a.dChosen - b.dChosen) < 1e-15)
}

@Test func raoKupperIsFiniteFarAway() {
    for (d, label) in [(1e4, 1.0), (-1e4, 1), (1e4, 0.5), (0, 0.5)] {
        #expect(RaoKupper()(chosen: d, rejected: 0, margin: 0, label: label).isFinite)
    }
}
