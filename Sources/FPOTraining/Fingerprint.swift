import FPONumerics

/// A hash of everything that a simulation is made of, the same in every process (Swift's own
/// hashes are not). Numbers enter by their bits.
struct Fingerprint {
    private var key = RandomKey(seed: 0)

    var value: UInt64 { key.value }

    init(_ e: Environment, _ penalty: SteeringPenalty, _ inputs: Simulation.Inputs) {
        add([
            e.rewardModel.rawValue, e.rewardBias ? 1 : 0, e.precision.rawValue,
            e.gradient.rawValue, e.dimension, e.signalDimension, e.rounds, e.innerSteps,
            e.labelsPerRound, e.labelBuffer, e.rewardSteps, e.optimizer.rawValue, e.hidden.count,
        ])
        add(e.hidden)
        add([
            e.differenceStep, e.utilityPeak, e.utilityTarget, e.utilityDecay, e.actionCost,
            e.penaltyWeight, e.policyRate, e.policyRateFinal, e.gradientClip, e.exploration,
            e.explorationFinal, e.annealingPower, e.labelExploration, e.labelNoise, e.labelBias,
            e.rewardRate, e.weightDecay, e.initialWeightScale, e.initialSignalWeight,
        ])
        add([
            penalty.kind.rawValue, penalty.oracleGradient.rawValue, penalty.curvature.rawValue,
            penalty.alignment.rawValue, penalty.estimator.rawValue, penalty.estimatorBuffer,
            penalty.estimatorGradient ? 1 : 0, penalty.filter.estimatesCurvature ? 1 : 0,
        ])
        add([
            penalty.weight, penalty.damping, penalty.kappa, penalty.filter.utilityScale,
            penalty.filter.lengthScale, penalty.filter.noiseScale, penalty.filter.noiseMemory,
        ])
        add(inputs.start)
        add(inputs.centre)
        add(inputs.initialWeights ?? [])
        for seed in inputs.seeds { key = key.fold(seed) }
    }

    private mutating func add(_ numbers: [Int]) {
        for n in numbers { key = key.fold(UInt64(bitPattern: Int64(n))) }
    }

    private mutating func add(_ numbers: [Double]) {
        for x in numbers { key = key.fold(x.bitPattern) }
    }
}
