import FPOObjectives
import Testing

@Test func overlongPenaltyByHand() {
    for (length, expected) in [(0.0, 0.0), (80, 0), (85, -0.25), (90, -0.5), (100, -1), (500, -1)] {
        #expect(OverlongPenalty.evaluate(length: length, maximum: 100, buffer: 20) == expected)
    }
}
