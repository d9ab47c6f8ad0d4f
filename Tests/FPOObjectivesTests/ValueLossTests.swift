import FPOObjectives
import Testing

@Test func valueLossByHand() {
    // Inside the clip: (1.1 − 2)²/2.
    let inside = ValueLoss.evaluate(value: 1.1, oldValue: 1, returns: 2, clip: 0.2)
    #expect(abs(inside.loss - 0.405) < 1e-15 && abs(inside.derivative + 0.9) < 1e-15)
    // Beyond it, towards the return: the clipped loss is larger, and flat.
    let beyond = ValueLoss.evaluate(value: 1.8, oldValue: 1, returns: 2, clip: 0.2)
    #expect(abs(beyond.loss - 0.32) < 1e-15 && beyond.derivative == 0)
    // Beyond it, away from the return: the plain loss is larger, and pulls back.
    let away = ValueLoss.evaluate(value: 0.2, oldValue: 1, returns: 2, clip: 0.2)
    #expect(abs(away.loss - 1.62) < 1e-15 && abs(away.derivative + 1.8) < 1e-15)
    let free = ValueLoss.evaluate(value: 1.8, oldValue: 1, returns: 2, clip: .infinity)
    #expect(abs(free.derivative + 0.2) < 1e-15)
}
