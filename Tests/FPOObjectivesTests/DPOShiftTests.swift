import FPOObjectives
import Testing

/// mpmath, 50 digits: softplus(-0.1 (-2 + 0.95 * 1.5)).
@Test func dpoShiftMatchesMpmath() {
    expectGolden(DPOShift(), 0.7223104048886941, -0.0514371040697060, 0.0488652488662207)
}

@Test func dpoShiftOfOneIsDPO() {
    var loss = DPOShift()
    loss.weight = 1
    let term = loss(chosen: goldenChosen, rejected: goldenRejected)
    #expect(term == DPO()(chosen: goldenChosen, rejected: goldenRejected))
}
