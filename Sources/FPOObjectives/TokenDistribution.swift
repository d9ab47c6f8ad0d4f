import FPONumerics

/// Entropy and exact divergence of the next token's distribution `p = softmax(z)`, with gradients
/// in the logits `z`:
///
///     H  = −Σ p log p                 dH/dz_v  = −p_v (log p_v + H)
///     KL = Σ p (log p − log p_ref)    dKL/dz_v = p_v (log p_v − log p_ref,v − KL)
///
/// Summed along sampled prefixes, the second is an unbiased estimate of the divergence of whole
/// responses with less variance than any of ``KLEstimator``.
public enum TokenDistribution {
    /// `log Σ e^z`
    private static func logSum(_ V: Int, _ z: UnsafePointer<Double>) -> Double {
        var top = z[0]
        for v in 1..<max(V, 1) { top = max(top, z[v]) }
        var sum = 0.0
        for v in 0..<V { sum += Double.exp(z[v] - top) }
        return top + Double.log(sum)
    }

    public static func entropy(
        vocabulary V: Int, logits z: UnsafePointer<Double>, gradient: UnsafeMutablePointer<Double>?
    ) -> Double {
        let total = logSum(V, z)
        var entropy = 0.0
        for v in 0..<V { entropy -= Double.exp(z[v] - total) * (z[v] - total) }
        if let gradient {
            for v in 0..<V {
                let logp = z[v] - total
                gradient[v] = -Double.exp(logp) * (logp + entropy)
            }
        }
        return entropy
    }

    public static func divergence(
        vocabulary V: Int, logits z: UnsafePointer<Double>, reference: UnsafePointer<Double>,
        gradient: UnsafeMutablePointer<Double>?
    ) -> Double {
        let total = logSum(V, z), other = logSum(V, reference)
        func ratio(_ v: Int) -> Double { (z[v] - total) - (reference[v] - other) }
        var divergence = 0.0
        for v in 0..<V { divergence += Double.exp(z[v] - total) * ratio(v) }
        if let gradient {
            for v in 0..<V { gradient[v] = Double.exp(z[v] - total) * (ratio(v) - divergence) }
        }
        return divergence
    }
}
