import FPONumerics

/// The general preference model: a skew-symmetric score of two embeddings, which can hold cycles
/// that no scalar reward can.
///
///     s(y ≻ y′) = Σ_b λ_b (v_{2b} v′_{2b+1} − v_{2b+1} v′_{2b})
///     loss      = softplus(−(s − m)/τ),   P(y ≻ y′) = σ(s/τ)
///
/// `v`, `v′` have `2 B` elements, `λ_b` is the weight of a block. `s(y ≻ y) = 0` and
/// `s(y ≻ y′) = −s(y′ ≻ y)` exactly. Zhang et al., arXiv:2410.02197, eq. 5 to 8 (`τ` = 0.1 with
/// embeddings of length one).
public struct GeneralPreference: Sendable {
    /// `B`
    public let blocks: Int
    /// `τ > 0`
    public let temperature: Double

    public init(blocks: Int, temperature: Double) {
        self.blocks = blocks
        self.temperature = temperature
    }

    /// `weights` is `λ` (B), all 1 where `nil`.
    public func score(
        _ v: UnsafePointer<Double>, _ other: UnsafePointer<Double>,
        weights: UnsafePointer<Double>?
    ) -> Double {
        var sum = 0.0
        for b in 0..<blocks { sum += (weights?[b] ?? 1) * block(b, v, other) }
        return sum
    }

    private func block(
        _ b: Int, _ v: UnsafePointer<Double>, _ other: UnsafePointer<Double>
    ) -> Double {
        v[2 * b] * other[2 * b + 1] - v[2 * b + 1] * other[2 * b]
    }

    /// The loss of a pair whose first member is preferred; the gradients (2 B, 2 B, B) are written.
    public func loss(
        chosen v: UnsafePointer<Double>, rejected u: UnsafePointer<Double>,
        weights: UnsafePointer<Double>?, margin: Double,
        dChosen: UnsafeMutablePointer<Double>?, dRejected: UnsafeMutablePointer<Double>?,
        dWeights: UnsafeMutablePointer<Double>?
    ) -> Double {
        let x = (score(v, u, weights: weights) - margin) / temperature
        let slope = -sigmoid(-x) / temperature
        for b in 0..<blocks {
            let d = slope * (weights?[b] ?? 1)
            dChosen?[2 * b] = d * u[2 * b + 1]
            dChosen?[2 * b + 1] = -d * u[2 * b]
            dRejected?[2 * b] = -d * v[2 * b + 1]
            dRejected?[2 * b + 1] = d * v[2 * b]
            dWeights?[b] = slope * block(b, v, u)
        }
        return softplus(-x)
    }
}
