import FPOObjectives
import Testing

@Test func gaeGoldenValues() {
    var advantage = [Double](repeating: 0, count: 4), returns = advantage
    GAE.evaluate(
        tokens: 4, reward: [0, 0, -0.1, 1], value: [0.2, 0.3, 0.1, 0.4], bootstrap: 0, gamma: 1,
        lambda: 0.95, advantage: &advantage, returns: &returns)
    for (a, e) in zip(advantage, [0.604925, 0.5315, 0.77, 0.6]) { #expect(abs(a - e) < 1e-12) }
    for (a, e) in zip(returns, [0.804925, 0.8315, 0.87, 1]) { #expect(abs(a - e) < 1e-12) }
}

/// λ = 1: returns are discounted sums of rewards, whatever the values are.
@Test func gaeOfLambdaOneIsMonteCarlo() {
    var advantage = [Double](repeating: 0, count: 3), returns = advantage
    GAE.evaluate(
        tokens: 3, reward: [1, 2, 4], value: [7, -3, 5], bootstrap: 8, gamma: 0.5, lambda: 1,
        advantage: &advantage, returns: &returns)
    for (a, e) in zip(returns, [4.0, 6, 8]) { #expect(abs(a - e) < 1e-12) }
}

/// A response that was cut off goes on: the value of what follows is not 0.
@Test func truncationBootstraps() {
    var ended = [0.0], cut = [0.0], returns = [0.0]
    GAE.evaluate(
        tokens: 1, reward: [1], value: [0.5], bootstrap: 0, gamma: 1, lambda: 0.95,
        advantage: &ended, returns: &returns)
    GAE.evaluate(
        tokens: 1, reward: [1], value: [0.5], bootstrap: 2, gamma: 1, lambda: 0.95,
        advantage: &cut, returns: &returns)
    #expect(ended == [0.5] && cut == [2.5])
}

/// Hazard: the score of an empty response has no token; index −1 is the token of another.
@Test func theScoreGoesToTheLastToken() {
    var reward = [Double](repeating: 9, count: 3)
    GAE.rewards(
        tokens: 2, score: 5, logProbability: [-1, -2], referenceLogProbability: [-1.5, -2],
        estimator: .k1, beta: 0.1, into: &reward)
    #expect(abs(reward[0] + 0.05) < 1e-15 && reward[1] == 5 && reward[2] == 9)
    GAE.rewards(
        tokens: 0, score: 5, logProbability: [-1], referenceLogProbability: [-1],
        estimator: .k1, beta: 0.1, into: &reward)
    #expect(abs(reward[0] + 0.05) < 1e-15 && reward[1] == 5)
}
