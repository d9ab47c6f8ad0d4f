import FPOKernelTypes
import Testing

@testable import FPOTraining

/// A saved state belongs to one simulation: whatever is changed, the fingerprint changes.
@Suite struct FingerprintTests {
    private func fingerprint(
        _ e: Environment, _ p: SteeringPenalty = SteeringPenalty(.residual),
        _ change: (inout Simulation.Inputs) -> Void = { _ in }
    ) -> UInt64 {
        var inputs = Simulation.Inputs(
            seeds: [1, 2], start: [Double](repeating: 0, count: e.dimension),
            centre: [Double](repeating: 0, count: e.dimension))
        change(&inputs)
        return Fingerprint(e, p, inputs).value
    }

    @Test func everyNumberOfTheEnvironmentCounts() {
        let paths: [WritableKeyPath<Environment, Double>] = [
            \.differenceStep, \.utilityPeak, \.utilityTarget, \.utilityDecay, \.actionCost,
            \.penaltyWeight, \.policyRate, \.policyRateFinal, \.exploration, \.explorationFinal,
            \.annealingPower, \.labelExploration, \.labelNoise, \.labelBias, \.rewardRate,
            \.weightDecay, \.initialWeightScale, \.initialSignalWeight, \.gradientClip,
        ]
        let sizes: [WritableKeyPath<Environment, Int>] = [
            \.dimension, \.signalDimension, \.rounds, \.innerSteps, \.labelsPerRound,
            \.labelBuffer, \.rewardSteps,
        ]
        var seen = [fingerprint(.neural)]
        for path in paths {
            var e = Environment.neural
            e[keyPath: path] = 0.123
            seen.append(fingerprint(e))
        }
        for path in sizes {
            var e = Environment.neural
            e[keyPath: path] += 1
            seen.append(fingerprint(e))
        }
        let changes: [(inout Environment) -> Void] = [
            { $0.rewardModel = .linear }, { $0.rewardBias = false }, { $0.precision = .float64 },
            { $0.gradient = .forwardDifference }, { $0.optimizer = .adamW },
            { $0.hidden = [32, 33] }, { $0.hidden = [33, 32] }, { $0.hidden = [32] },
        ]
        for change in changes {
            var e = Environment.neural
            change(&e)
            seen.append(fingerprint(e))
        }
        #expect(Set(seen).count == seen.count)
    }

    @Test func everyNumberOfThePenaltyCounts() {
        let changes: [(inout SteeringPenalty) -> Void] = [
            { $0.kind = .relaxed }, { $0.weight = 2 }, { $0.oracleGradient = .yes },
            { $0.curvature = .inverse }, { $0.alignment = .unit }, { $0.damping = 1 },
            { $0.estimator = .ridge }, { $0.estimatorBuffer = 9 }, { $0.estimatorGradient = false },
            { $0.kappa = 2 }, { $0.filter.estimatesCurvature = false },
            { $0.filter.utilityScale = 3 }, { $0.filter.lengthScale = 3 },
            { $0.filter.noiseScale = 3 }, { $0.filter.noiseMemory = 0.3 },
        ]
        var seen = [fingerprint(.neural)]
        for change in changes {
            var p = SteeringPenalty(.residual)
            change(&p)
            seen.append(fingerprint(.neural, p))
        }
        #expect(Set(seen).count == seen.count)
    }

    @Test func inputsCountAndNothingElseDoes() {
        let base = fingerprint(.neural)
        #expect(base == fingerprint(.neural))
        let changes: [(inout Simulation.Inputs) -> Void] = [
            { $0.seeds = [2, 1] }, { $0.seeds = [1] }, { $0.start[3] = 1 }, { $0.centre[3] = 1 },
            { $0.initialWeights = [1] },
        ]
        let changed = changes.map { fingerprint(.neural, SteeringPenalty(.residual), $0) }
        #expect(Set(changed + [base]).count == changes.count + 1)
    }
}
