import FPONumerics
import FPOObjectives
import Testing

@Test func dPOGoldenValues() {
    expectGolden(DPO(), 0.718459648, -0.0512497396, 0.0512497396)
}

/// `e^{−loss}` of a pair and of its swap are the two probabilities of one choice.
@Test func dpoOfAPairAndItsSwapSumToOne() {
    let one = DPO()(chosen: goldenChosen, rejected: goldenRejected).loss
    let other = DPO()(chosen: goldenRejected, rejected: goldenChosen).loss
    #expect(abs(Double.exp(-one) + Double.exp(-other) - 1) < 1e-15)
}
