/// Rewards, advantages and returns of the tokens of one response, as PPO for RLHF has them.
///
///     r_t = −β k_t + [t = T] score
///     δ_t = r_t + γ V_{t+1} − V_t,   A_t = δ_t + γ λ A_{t+1},   R_t = A_t + V_t
///
/// `V_{T+1}` is `bootstrap`: 0 where the response ended by itself, the value of the next state
/// where it was cut off, which is then no end. Schulman et al., arXiv:1506.02438, eq. 16; the
/// reward: Ziegler et al., arXiv:1909.08593, eq. 2.
public enum GAE {
    /// An empty response has no token to carry its score.
    public static func rewards(
        tokens T: Int, score: Double, logProbability: UnsafePointer<Double>,
        referenceLogProbability: UnsafePointer<Double>, estimator: KLEstimator, beta: Double,
        into reward: UnsafeMutablePointer<Double>
    ) {
        for t in 0..<T {
            let k = estimator(logProbability[t] - referenceLogProbability[t]).value
            reward[t] = (beta == 0 ? 0 : -beta * k) + (t == T - 1 ? score : 0)
        }
    }

    public static func evaluate(
        tokens T: Int, reward: UnsafePointer<Double>, value: UnsafePointer<Double>,
        bootstrap: Double, gamma: Double, lambda: Double,
        advantage: UnsafeMutablePointer<Double>, returns: UnsafeMutablePointer<Double>
    ) {
        var next = bootstrap, running = 0.0
        for t in stride(from: T - 1, through: 0, by: -1) {
            let own = value[t]
            running = reward[t] + gamma * next - own + gamma * lambda * running
            advantage[t] = running
            returns[t] = running + own
            next = own
        }
    }
}
