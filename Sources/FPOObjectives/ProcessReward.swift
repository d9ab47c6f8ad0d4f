import FPONumerics

/// The reward of a solution from the scores `s_k` of its `K` steps, with `p_k = σ(s_k)` the
/// probability that step `k` is correct.
///
///     product    Π p_k, in logarithms          minimum    min p_k
///     mean       (1/K) Σ p_k                   last       p_K
///
/// Lightman et al., arXiv:2305.20050, §2.4 and appendix F (product and minimum). The product and,
/// less so, the minimum fall with the number of steps. A solution without steps has reward 0: it
/// would have the product 1. Steps are trained by ``RewardRegression`` on their labels.
public enum ProcessReward: Int, Sendable {
    case product, minimum, mean, last

    /// The reward; `derivative` (K) receives its slope in the scores. At a tie, the first minimum's.
    public func callAsFunction(
        steps K: Int, scores: UnsafePointer<Double>, derivative: UnsafeMutablePointer<Double>?
    ) -> Double {
        guard K > 0 else { return 0 }
        for k in 0..<K { derivative?[k] = 0 }
        func slope(_ k: Int) -> Double { sigmoid(scores[k]) * sigmoid(-scores[k]) }
        switch self {
        case .product:
            var sum = 0.0
            for k in 0..<K { sum += Double.logSigmoid(scores[k]) }
            let reward = Double.exp(sum)
            for k in 0..<K { derivative?[k] = reward * sigmoid(-scores[k]) }
            return reward
        case .minimum:
            var least = 0
            for k in 1..<max(K, 1) where scores[k] < scores[least] { least = k }
            derivative?[least] = slope(least)
            return sigmoid(scores[least])
        case .mean:
            var sum = 0.0
            for k in 0..<K {
                sum += sigmoid(scores[k])
                derivative?[k] = slope(k) / Double(K)
            }
            return sum / Double(K)
        case .last:
            derivative?[K - 1] = slope(K - 1)
            return sigmoid(scores[K - 1])
        }
    }
}
