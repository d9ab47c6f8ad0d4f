/// PPO's loss of a value estimate, `½ max((V − R)², (V_clip − R)²)` with `V_clip` within `±ε` of
/// the value that sampled; plain `½ (V − R)²` for `ε = ∞`.
///
/// Schulman et al., arXiv:1707.06347, as its code has it; Ziegler et al. use the same.
public enum ValueLoss {
    public static func evaluate(
        value: Double, oldValue: Double, returns: Double, clip: Double
    ) -> (loss: Double, derivative: Double) {
        let plain = value - returns
        let bounded = min(max(value, oldValue - clip), oldValue + clip)
        let clipped = bounded - returns
        guard clipped * clipped > plain * plain else {
            return (loss: 0.5 * plain * plain, derivative: plain)
        }
        return (loss: 0.5 * clipped * clipped, derivative: bounded == value ? clipped : 0)
    }
}
