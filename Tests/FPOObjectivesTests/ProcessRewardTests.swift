import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

private let methods: [ProcessReward] = [.product, .minimum, .mean, .last]

/// Probabilities 0.9, 0.5, 0.8 by their logits.
@Test func processRewardsOfThreeSteps() {
    let scores = [2.1972245773362196, 0, 1.3862943611198906]
    let expected = [0.36, 0.5, 2.2 / 3, 0.8]
    for (method, value) in zip(methods, expected) {
        #expect(abs(method(steps: 3, scores: scores, derivative: nil) - value) < 1e-15)
    }
}

@Test(arguments: [0, 1, 2, 3], 1...4)
func processSlopesMatchFiniteDifferences(method: Int, steps: Int) throws {
    var rng = SplitMix64(seed: steps)
    let buffer = try Buffer<Double>(1, steps), slope = try Buffer<Double>(steps)
    let scores = Matrix(base: buffer.base, rows: 1, columns: steps)
    scores.fillRandom(-3...3, using: &rng)
    _ = methods[method](steps: steps, scores: scores.base, derivative: slope.base)
    let expected = numericalGradient(at: scores) {
        methods[method](steps: steps, scores: scores.base, derivative: nil)
    }
    let found = (0..<steps).map { slope.base[$0] }
    #expect(relativeError(found, expected) < 1e-8)
}

/// A thousand unlikely steps: the product underflows to 0 and not to NaN; no steps: 0, not 1.
@Test func processRewardsAtTheEdges() {
    let scores = [Double](repeating: -1e4, count: 1000)
    for method in methods {
        var slope = [Double](repeating: .nan, count: 1000)
        #expect(method(steps: 1000, scores: scores, derivative: &slope) == 0)
        #expect(slope.allSatisfy { $0 == 0 })
        #expect(method(steps: 0, scores: scores, derivative: nil) == 0)
    }
    // The minimum does not divide the slope among ties: the first has it.
    var slope = [Double](repeating: .nan, count: 2)
    _ = ProcessReward.minimum(steps: 2, scores: [0, 0], derivative: &slope)
    #expect(slope == [0.25, 0])
}
