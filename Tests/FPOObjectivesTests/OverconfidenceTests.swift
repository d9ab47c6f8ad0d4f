import FPONumerics
import FPOObjectives
import Testing

@Test func squaredErrorOverconfidenceIsTheResidual() {
    var e = [0.0, 0, 0]
    Overconfidence.evaluate(
        count: 3, reward: [1.5, -2, 0], referenceReward: nil, label: [1, -2, 7], into: &e)
    #expect(e == [0.5, 0, -7])
}

/// σ by mpmath at 50 digits.
@Test func bradleyTerryOverconfidenceMatchesMpmath() {
    var e = [0.0, 0, 0, 0]
    Overconfidence.evaluate(
        count: 4, reward: [2, -40, 800, 3], referenceReward: [0.5, 0, 0, 3],
        label: [0.5, 0, 0.25, 0.5], into: &e)
    #expect((e[0] - 0.31757447619364366).magnitude < 1e-15)
    #expect((e[1] / 4.248354255291589e-18 - 1).magnitude < 1e-14)
    #expect(e[2] == 0.75)
    #expect(e[3] == 0)
}

/// e = d loss / d r for both losses: the factor 2 of the squared error is left to λ.
@Test(arguments: [-3.0, -0.5, 0, 1.25, 4])
func overconfidenceIsTheSlopeOfTheLoss(reward: Double) {
    let h = 1e-4, label = 0.3, referenceReward = 0.75
    func slope(_ loss: (Double) -> Double) -> Double {
        (loss(reward + h) - loss(reward - h)) / (2 * h)
    }
    let squared = slope { ($0 - label) * ($0 - label) / 2 }
    #expect((Overconfidence.squaredError(reward: reward, label: label) - squared).magnitude < 1e-8)
    let bradleyTerry = slope { softplus($0 - referenceReward) - label * ($0 - referenceReward) }
    let e = Overconfidence.bradleyTerry(
        reward: reward, referenceReward: referenceReward, label: label)
    #expect((e - bradleyTerry).magnitude < 1e-8)
}
