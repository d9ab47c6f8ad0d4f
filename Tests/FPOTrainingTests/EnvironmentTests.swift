import Testing

@testable import FPOTraining

/// The paper's constants, written out here because a test must not read them from the code it tests.
@Suite struct EnvironmentTests {
    @Test func linearIsAsPublished() {
        let e = Environment.linear
        #expect(e.rewardModel == .linear && e.hidden.isEmpty && !e.rewardBias)
        #expect(e.precision == .float64 && e.optimizer == .sgd)
        #expect([e.dimension, e.signalDimension, e.rounds, e.innerSteps] == [50, 3, 300, 1])
        #expect([e.utilityPeak, e.utilityTarget, e.utilityDecay] == [10, 2, 0.3])
        #expect([e.actionCost, e.penaltyWeight] == [0.1, 0.1])
        #expect([e.policyRate, e.policyRateFinal, e.gradientClip] == [0.02, 0.02, .infinity])
        #expect([e.exploration, e.explorationFinal] == [0, 0])
        #expect([e.labelsPerRound, e.labelBuffer, e.rewardSteps] == [1, 1, 1])
        #expect([e.rewardRate, e.weightDecay] == [0.005, 1e-4])
        #expect([e.initialWeightScale, e.initialSignalWeight] == [0.1, 1])
        #expect([e.labelExploration, e.labelNoise, e.labelBias] == [1, 0, 0])
    }

    @Test func neuralIsAsPublished() {
        let e = Environment.neural
        #expect(e.rewardModel == .mlp && e.hidden == [32, 32] && e.optimizer == .adam)
        #expect(e.precision == .float32)
        #expect([e.dimension, e.signalDimension, e.rounds, e.innerSteps] == [10, 2, 4000, 15])
        #expect([e.utilityPeak, e.utilityTarget, e.utilityDecay] == [10, 2.5, 0.2])
        #expect([e.actionCost, e.penaltyWeight] == [0.01, 0.005])
        #expect([e.policyRate, e.policyRateFinal, e.gradientClip] == [0.05, 0.001, 1])
        #expect([e.exploration, e.explorationFinal, e.annealingPower] == [0.1, 0.001, 4])
        #expect([e.labelsPerRound, e.labelBuffer, e.rewardSteps] == [5, 50, 1])
        #expect([e.rewardRate, e.weightDecay, e.initialWeightScale] == [1e-3, 1e-3, 0.1])
        #expect([e.labelExploration, e.labelNoise, e.labelBias] == [1, 0, 0])
    }

    @Test(arguments: [
        ([], false, 7), ([], true, 8), ([4], true, 37), ([4], false, 37), ([6, 5], true, 89),
    ])
    func parametersAreThoseOfTheModel(hidden: [Int], bias: Bool, count: Int) throws {
        var e = hidden.isEmpty ? Environment.linear : .neural
        (e.hidden, e.rewardBias, e.dimension, e.signalDimension) = (hidden, bias, 7, 2)
        #expect(e.parameterCount == count)
        let s = try simulation(e, SteeringPenalty(.myopic), seeds: [1])
        #expect(s.parameterCount == count)
    }

    @Test func initialWeightsHaveNoBias() {
        var e = Environment.neural
        (e.dimension, e.hidden, e.initialWeightScale) = (2, [3], 0.5)
        var weights = [Double](repeating: 4, count: e.parameterCount)
        e.shapeInitialWeights(&weights, count: weights.count)
        #expect(weights == [2, 2, 2, 2, 2, 2, 0, 0, 0, 2, 2, 2, 0])

        var linear = Environment.linear
        (linear.dimension, linear.signalDimension, linear.rewardBias) = (4, 2, true)
        weights = [Double](repeating: 10, count: linear.parameterCount)
        linear.shapeInitialWeights(&weights, count: weights.count)
        #expect(weights == [2, 2, 1, 1, 0])
    }
}
