import FPOObjectives
import Testing

@Test func squaredErrorOfAReward() {
    #expect(RewardRegression.squaredError(reward: 1.5, label: 1) == (loss: 0.25, derivative: 1))
}

/// mpmath, 50 digits.
@Test func crossEntropyMatchesMpmath() {
    let term = RewardRegression.crossEntropy(reward: 0.8, label: 0.7)
    #expect(abs(term.loss - 0.6111006659477776) < 1e-15)
    #expect(abs(term.derivative + 0.0100255188723875) < 1e-15)
    let far = RewardRegression.crossEntropy(reward: -1e4, label: 1)
    #expect(far.loss == 1e4 && far.derivative == -1)
    // No cancellation: −e^{−50}.
    let sure = RewardRegression.crossEntropy(reward: 50, label: 1)
    #expect(abs(sure.derivative / -1.9287498479639178e-22 - 1) < 1e-14)
}
