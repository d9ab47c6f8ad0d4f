import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

/// A batch of responses of 3, 0, 1 and 2 tokens.
private struct Example {
    let offset: [Int64] = [0, 3, 3, 4, 6]
    var logp: [Double], old: [Double], reference: [Double], advantage: [Double]
    var used: [Int32] = [1, 1, 1, 1]

    init(seed: Int) {
        var rng = SplitMix64(seed: seed)
        logp = (0..<6).map { _ in Double.random(in: -3 ... -0.2, using: &rng) }
        old = logp.map { $0 + Double.random(in: -0.6...0.6, using: &rng) }
        reference = logp.map { $0 + Double.random(in: -1...1, using: &rng) }
        advantage = (0..<6).map { _ in Double.random(in: -2...2, using: &rng) }
    }

    func evaluate(_ loss: PolicyLoss, _ logp: [Double], _ slope: inout [Double])
        -> PolicyLoss
        .Statistics
    {
        evaluated(
            loss, offset: offset, logp: logp, old: old, reference: reference,
            advantage: advantage, used: used, &slope)
    }
}

/// The loss of a batch whose arrays live as long as the call.
private func evaluated(
    _ loss: PolicyLoss, offset: UnsafePointer<Int64>, count: Int = 4,
    logp: UnsafePointer<Double>, old: UnsafePointer<Double>? = nil,
    reference: UnsafePointer<Double>? = nil, advantage: UnsafePointer<Double>,
    used: UnsafePointer<Int32>? = nil, _ slope: inout [Double]
) -> PolicyLoss.Statistics {
    loss.evaluate(
        PolicyLoss.Batch(
            count: count, offset: offset, logProbability: logp, oldLogProbability: old,
            referenceLogProbability: reference, advantage: advantage, isUsed: used),
        derivative: &slope)
}

private func single(_ A: Double, _ logRatio: Double, dual: Double = 0) -> (Double, Double) {
    var loss = PolicyLoss(.ppo)
    loss.dualClip = dual
    var slope = [0.0]
    let value = evaluated(
        loss, offset: [0, 1], count: 1, logp: [-1 + logRatio], old: [-1], advantage: [A], &slope)
    return (value.loss, slope[0])
}

@Test func clippedSurrogateGoldenValues() {
    for (A, x, loss) in [
        (1.0, 0.5, -1.2), (1, -0.5, -0.606531), (-1, 0.5, 1.648721), (-1, -0.5, 0.8),
        (-1, 2, 7.389056),
    ] {
        let (value, slope) = single(A, x)
        #expect(abs(value - loss) < 1e-6)
        let isFlat = (A > 0 && x > 0) || (A < 0 && x < 0)
        #expect(isFlat ? slope == 0 : abs(slope - value) < 1e-12)
    }
    #expect(single(-1, 2, dual: 3) == (3, 0))
}

@Test(arguments: PolicyLoss.Preset.allCases, 0..<6)
func policySlopesMatchFiniteDifferences(preset: PolicyLoss.Preset, seed: Int) throws {
    var loss = PolicyLoss(preset)
    loss.maximumLength = 5
    if preset == .gspo { (loss.clipLow, loss.clipHigh) = (0.2, 0.2) }
    loss.klCoefficient = [0, 0.3, 0.2][seed % 3]
    loss.klEstimator = [.k1, .k2, .k3][seed % 3]
    loss.klIsWeighted = seed >= 3 && preset != .reinforce
    // The weight of CISPO is held constant: with old = logp its derivative is invisible.
    var example = Example(seed: seed)
    let start = example.logp
    if preset == .cispo {
        loss.clipHigh = 0
        loss.klIsWeighted = false
        example.old = start.map { $0 - 1 }
    }
    var slope = [Double](repeating: .nan, count: 6), unused = slope
    _ = example.evaluate(loss, start, &slope)
    let buffer = try Buffer<Double>(1, 6)
    for t in 0..<6 { buffer.base[t] = start[t] }
    let x = Matrix(base: buffer.base, rows: 1, columns: 6)
    let expected = numericalGradient(at: x, step: 1e-4) {
        example.evaluate(loss, x.elements, &unused).loss
    }
    #expect(relativeError(slope, expected) < 1e-8)
}

/// Length-normalised 1.06449446, not the product 1.28402542.
@Test func gspoGoldenRatio() {
    let delta = [0.1, -0.2, 0.05, 0.3]
    var loss = PolicyLoss(.gspo)
    (loss.clipLow, loss.clipHigh) = (0.5, 0.5)
    for (ratio, expected) in [
        (PolicyLoss.Ratio.sequenceMean, 1.06449446), (.sequence, 1.28402542),
    ] {
        loss.ratio = ratio
        var slope = [Double](repeating: 0, count: 4)
        let value = evaluated(
            loss, offset: [0, 4], count: 1, logp: delta, old: [0, 0, 0, 0],
            advantage: [1, 1, 1, 1], &slope)
        #expect(abs(value.loss + expected) < 1e-8)
        #expect(abs(slope[0] + expected / (ratio == .sequence ? 1 : 4)) < 1e-8)
    }
}

/// Hazard: with a token normaliser a long response counts T times. Here it counts once.
@Test func gspoCountsEachResponseOnce() {
    func loss(_ lengths: [Int]) -> Double {
        var offset: [Int64] = [0]
        for n in lengths { offset.append(offset.last! + Int64(n)) }
        let tokens = Int(offset.last!)
        var slope = [Double](repeating: 0, count: tokens)
        let advantage = [1.0] + [Double](repeating: -2, count: tokens - 1)
        let logp = slope
        return evaluated(
            PolicyLoss(.gspo), offset: offset, count: 2, logp: logp, advantage: advantage, &slope
        ).loss
    }
    #expect(abs(loss([1, 1]) - 0.5) < 1e-15)
    #expect(abs(loss([1, 50]) - 0.5) < 1e-15)
}

/// Normalisers of the four aggregations, on-policy with A = 1: the slope of a token is −w.
@Test func aggregationsByHand() {
    let used: [Int32] = [1, 1, 1, 0]
    var example = Example(seed: 1)
    example.old = example.logp
    example.advantage = [1, 1, 1, 1, 1, 1]
    example.used = used
    var loss = PolicyLoss(.ppo)
    loss.maximumLength = 8
    for (aggregation, first, third) in [
        (PolicyLoss.Aggregation.sequenceMean, 1.0 / 6, 0.5), (.tokenMean, 0.25, 0.25),
        (.sequenceSum, 0.5, 0.5), (.constant, 1.0 / 16, 1.0 / 16),
    ] {
        loss.aggregation = aggregation
        var slope = [Double](repeating: .nan, count: 6)
        _ = example.evaluate(loss, example.logp, &slope)
        #expect(abs(slope[0] + first) < 1e-15 && abs(slope[3] + third) < 1e-15)
        #expect(slope[4] == 0 && slope[5] == 0)
    }
}

/// Nothing takes part: loss 0, and no 0/0.
@Test func nothingToLearnFrom() {
    var example = Example(seed: 2)
    example.used = [0, 1, 0, 0]
    var slope = [Double](repeating: .nan, count: 6)
    let value = example.evaluate(PolicyLoss(.grpo), example.logp, &slope)
    #expect(value == PolicyLoss.Statistics())
    #expect(slope.allSatisfy { $0 == 0 })
}

/// ρ k3 has the slope ρ a: the gradient of the divergence off-policy.
@Test func weightedK3HasTheTrueGradient() {
    var loss = PolicyLoss(.ppo)
    loss.klCoefficient = 1
    loss.klIsWeighted = true
    var slope = [0.0]
    _ = evaluated(
        loss, offset: [0, 1], count: 1, logp: [-1], old: [-1.3], reference: [-1.8],
        advantage: [0], &slope)
    #expect(abs(slope[0] - 0.8 * Double.exp(0.3)) < 1e-14)
}
