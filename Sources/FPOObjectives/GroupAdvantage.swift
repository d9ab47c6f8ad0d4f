import FPONumerics

/// Advantages of whole responses from their rewards, by groups of responses to one prompt.
///
///     reinforce     R − b, with a baseline from outside: a moving average, or for ReMax
///                   (arXiv:2310.10505, eq. 5) the reward of the greedy response; 0 without one
///     rloo          R − mean of the group's others; RLOO: Ahmadian et al., arXiv:2402.14740, eq. 8
///     grpo          (R − mean)/(s + ε); GRPO: Shao et al., arXiv:2402.03300, §4.1.2; without
///                   scale Dr. GRPO: Liu et al., arXiv:2503.20783, §3.2
///     opo           R − Σ T R / Σ T over the group; OPO: Hao et al., arXiv:2505.23585
///     plusPlus      (R − mean)/(s + ε) over the batch; REINFORCE++: Hu, arXiv:2501.03262
///     plusPlusBaseline  the same of R − group mean
///
/// `s` is the standard deviation with Bessel's correction. A reward of NaN cannot be scored: it
/// has advantage 0 and no part in any statistic. Where all rewards of a group are equal the
/// advantage is 0 *exactly*: that is asked of maximum and minimum, since the deviation of equal
/// numbers may round to 1e-17 and be divided by ε. A group of one has nothing to compare with: 0,
/// except for rloo, which then compares with the rest of the batch.
public struct GroupAdvantage: Sendable {
    public enum Estimator: Int, Sendable {
        case reinforce, rloo, grpo, opo, plusPlus, plusPlusBaseline
    }
    public enum Scale: Int, Sendable { case none, group, batch }

    public var estimator: Estimator
    /// What grpo divides by.
    public var scale = Scale.group
    /// Added to the standard deviation; 1e-4 as in TRL.
    public var epsilon = 1e-4

    public init(_ estimator: Estimator) { self.estimator = estimator }

    /// Moments of scorable rewards, with respect to the first of them, so that equal ones have
    /// their own value as the mean.
    private struct Moments {
        var count = 0
        var first = 0.0, sum = 0.0, squares = 0.0, weight = 0.0, weighted = 0.0
        var least = Double.infinity, greatest = -Double.infinity

        mutating func add(_ x: Double, weight w: Double) {
            if count == 0 { first = x }
            count += 1
            sum += x - first
            squares += (x - first) * (x - first)
            weight += w
            weighted += w * (x - first)
            least = min(least, x)
            greatest = max(greatest, x)
        }
        var isConstant: Bool { count == 0 || least == greatest }
        /// `x` minus the mean, the weighted mean, or the mean of the others: differences first, so
        /// that a large common part does not eat the digits.
        func centred(_ x: Double) -> Double { (x - first) - sum / Double(max(count, 1)) }
        func weightedCentred(_ x: Double) -> Double {
            weight > 0 ? (x - first) - weighted / weight : centred(x)
        }
        func minusOthers(_ x: Double) -> Double {
            (x - first) - (sum - (x - first)) / Double(count - 1)
        }
        var deviation: Double {
            guard count > 1, !isConstant else { return 0 }
            let n = Double(count)
            return (max(squares - sum * sum / n, 0) / (n - 1)).squareRoot()
        }
    }

    /// `group` (n) numbers the groups 0 to `groups − 1`; they need not stand together.
    public func evaluate(
        count n: Int, reward: UnsafePointer<Double>, group: UnsafePointer<Int64>?, groups: Int,
        baseline: UnsafePointer<Double>?, length: UnsafePointer<Int64>?,
        into advantage: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        let memory = try Buffer<UInt8>(max(groups, 1) * MemoryLayout<Moments>.stride)
        let moments = UnsafeMutableRawPointer(memory.base).bindMemory(
            to: Moments.self, capacity: max(groups, 1))
        moments.initialize(repeating: Moments(), count: max(groups, 1))
        var batch = Moments()
        for i in 0..<n where !reward[i].isNaN {
            moments[Int(group?[i] ?? 0)].add(reward[i], weight: Double(length?[i] ?? 1))
            batch.add(reward[i], weight: 1)
        }
        for i in 0..<n {
            advantage[i] =
                reward[i].isNaN
                ? 0 : value(reward[i], moments[Int(group?[i] ?? 0)], batch, baseline?[i] ?? 0)
        }
        if estimator == .plusPlusBaseline { whiten(n, reward, advantage) }
    }

    private func value(_ x: Double, _ own: Moments, _ batch: Moments, _ baseline: Double) -> Double
    {
        switch estimator {
        case .reinforce: return x - baseline
        case .rloo:
            let others = own.count > 1 ? own : batch
            return others.isConstant ? 0 : others.minusOthers(x)
        case .grpo:
            guard !own.isConstant else { return 0 }
            switch scale {
            case .none: return own.centred(x)
            case .group: return own.centred(x) / (own.deviation + epsilon)
            case .batch: return own.centred(x) / (batch.deviation + epsilon)
            }
        case .opo: return own.isConstant ? 0 : own.weightedCentred(x)
        case .plusPlus:
            return batch.isConstant ? 0 : batch.centred(x) / (batch.deviation + epsilon)
        case .plusPlusBaseline: return own.isConstant ? 0 : own.centred(x)
        }
    }

    private func whiten(
        _ n: Int, _ reward: UnsafePointer<Double>, _ advantage: UnsafeMutablePointer<Double>
    ) {
        var batch = Moments()
        for i in 0..<n where !reward[i].isNaN { batch.add(advantage[i], weight: 1) }
        for i in 0..<n where !reward[i].isNaN {
            advantage[i] =
                batch.isConstant ? 0 : batch.centred(advantage[i]) / (batch.deviation + epsilon)
        }
    }
}
