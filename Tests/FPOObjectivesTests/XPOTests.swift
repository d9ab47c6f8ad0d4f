import FPOObjectives
import Testing

@Test func xpoIsDPOAndABonus() {
    let dpo = DPO()(chosen: goldenChosen, rejected: goldenRejected)
    let term = XPO(beta: 0.1, alpha: 0.01)(
        chosen: goldenChosen, rejected: goldenRejected, sampleLogProbability: -45.5)
    #expect(abs(term.loss - (dpo.loss - 0.455)) < 1e-14)
    #expect(term.dChosen == dpo.dChosen && term.dRejected == dpo.dRejected)
    let online = XPO(beta: 0.1, alpha: 0)(
        chosen: goldenChosen, rejected: goldenRejected, sampleLogProbability: -45.5)
    #expect(online == dpo)
}
