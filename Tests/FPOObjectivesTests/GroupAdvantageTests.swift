import FPOObjectives
import Testing

private let binary = [1.0, 0, 0, 1, 1, 0, 0, 0]

private func advantage(
    _ estimator: GroupAdvantage.Estimator, _ reward: [Double], group: [Int64]? = nil,
    scale: GroupAdvantage.Scale = .group, epsilon: Double = 1e-4, baseline: [Double]? = nil,
    length: [Int64]? = nil
) throws -> [Double] {
    var settings = GroupAdvantage(estimator)
    settings.scale = scale
    settings.epsilon = epsilon
    var out = [Double](repeating: .nan, count: reward.count)
    func with<T, R>(_ x: [T]?, _ body: (UnsafePointer<T>?) throws -> R) rethrows -> R {
        guard let x else { return try body(nil) }
        return try x.withUnsafeBufferPointer { try body($0.baseAddress) }
    }
    try with(group) { group in
        try with(baseline) { baseline in
            try with(length) { length in
                try settings.evaluate(
                    count: reward.count, reward: reward, group: group,
                    groups: group == nil ? 1 : reward.count, baseline: baseline, length: length,
                    into: &out)
            }
        }
    }
    return out
}

@Test func groupAdvantageGoldenValues() throws {
    for (epsilon, high) in [(1e-4, 1.20738144), (1e-6, 1.20761240), (1e-9, 1.20761473)] {
        let a = try advantage(.grpo, binary, epsilon: epsilon)
        #expect(abs(a[0] - high) < 1e-8)
    }
    #expect(abs(try advantage(.grpo, binary)[1] + 0.72442886) < 1e-8)
    let rloo = try advantage(.rloo, binary)
    #expect(abs(rloo[0] - 5.0 / 7) < 1e-15 && abs(rloo[1] + 3.0 / 7) < 1e-15)
    #expect(try advantage(.grpo, binary, scale: .none)[0] == 0.625)
}

/// Hazard: the float deviation of eight rewards of 0.7 is not 0, and is divided by ε.
@Test(arguments: [0, 1, 2, 3, 4, 5], [0.7, 0.1, 1e9 / 3])
func equalRewardsHaveExactlyNoAdvantage(estimator: Int, reward: Double) throws {
    guard let estimator = GroupAdvantage.Estimator(rawValue: estimator) else { return }
    let rewards = [Double](repeating: reward, count: 8)
    for epsilon in [0, 1e-9, 1e-4] {
        let a = try advantage(
            estimator, rewards, epsilon: epsilon, baseline: rewards,
            length: [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(a.allSatisfy { $0 == 0 }, "\(estimator)")
    }
}

/// A reward that cannot be scored is no reward of 0.
@Test func unscorableRewardsAreLeftOut() throws {
    for estimator in [GroupAdvantage.Estimator.rloo, .grpo, .plusPlus, .plusPlusBaseline] {
        let all = try advantage(estimator, [1, .nan, 0, 3, .nan])
        let scored = try advantage(estimator, [1, 0, 3])
        #expect([all[0], all[2], all[3]] == scored)
        #expect(all[1] == 0 && all[4] == 0)
    }
    #expect(try advantage(.grpo, [.nan, .nan]) == [0, 0])
}

@Test func groupsAreByNumberAndNotByPosition() throws {
    let mixed = try advantage(.grpo, [1, 5, 0, 7], group: [0, 1, 0, 1])
    #expect(mixed[0] == (try advantage(.grpo, [1, 0]))[0])
    #expect(mixed[3] == (try advantage(.grpo, [5, 7]))[1])
}

/// Hazard: a group of one would have advantage R, or be divided by 0.
@Test func aGroupOfOne() throws {
    #expect(try advantage(.grpo, [5]) == [0])
    #expect(try advantage(.rloo, [5]) == [0])
    #expect(try advantage(.opo, [5], length: [3]) == [0])
    // Alone in its group, but not in the batch: the mean of the others is a baseline.
    #expect(try advantage(.rloo, [5, 1, 3], group: [0, 1, 1]) == [3, -2, 2])
}

@Test func baselinesAndLengths() throws {
    #expect(try advantage(.reinforce, [3, 1], baseline: [1, 1]) == [2, 0])
    #expect(try advantage(.reinforce, [3, 1]) == [3, 1])
    // Σ T R / Σ T = (1·0 + 3·1)/4
    #expect(try advantage(.opo, [0, 1], length: [1, 3]) == [-0.75, 0.25])
    #expect(try advantage(.opo, [0, 1], length: [0, 0]) == [-0.5, 0.5])
}

@Test func scaleOfTheBatch() throws {
    let reward = [0.0, 2, 10, 10], group: [Int64] = [0, 0, 1, 1]
    let a = try advantage(.grpo, reward, group: group, scale: .batch, epsilon: 0)
    let deviation = (83.0 / 3).squareRoot()
    #expect(abs(a[0] + 1 / deviation) < 1e-15 && abs(a[1] - 1 / deviation) < 1e-15)
    #expect(a[2] == 0 && a[3] == 0)
}

/// A large common offset does not eat the differences.
@Test func advantagesAreShiftInvariant() throws {
    let a = try advantage(.grpo, [1, 2, 4]), b = try advantage(.grpo, [1 + 1e9, 2 + 1e9, 4 + 1e9])
    for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-12) }
}
