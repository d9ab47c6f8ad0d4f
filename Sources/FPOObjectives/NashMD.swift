public import FPONumerics

/// Nash learning from human feedback: the equilibrium of a preference that is regularised towards a
/// reference, and the mirror descent that finds it.
///
///     π* = argmax_π min_π′  P(π ≻ π′) − τ KL(π ‖ π_ref) + τ KL(π′ ‖ π_ref)
///     π* ∝ π_ref e^{P(· ≻ π*)/τ}
///
/// Munos et al., arXiv:2312.00886, eq. 2, 8 and 9.
public enum NashMD {
    /// What a sampled response is worth to `P(π ≻ π′) − τ KL(π ‖ π_ref)`: a policy gradient with
    /// these advantages is unbiased. `preference` is that over a response of the opponent, which
    /// Nash-MD draws from ``mixture(vocabulary:logits:reference:coefficient:into:)``.
    public static func advantage(
        preference: Double, logProbability: Double, referenceLogProbability: Double, tau: Double
    ) -> Double {
        preference - 0.5 - tau * (logProbability - referenceLogProbability)
    }

    /// `log π^{1−c} π_ref^c`, normalised: the opponent's next token.
    public static func mixture(
        vocabulary V: Int, logits: UnsafePointer<Double>, reference: UnsafePointer<Double>,
        coefficient c: Double, into out: UnsafeMutablePointer<Double>
    ) {
        for v in 0..<V { out[v] = (1 - c) * logits[v] + c * reference[v] }
        normalizeLogarithms(V, out)
    }

    /// The regularised equilibrium of preferences `P` (n, n), by magnetic mirror descent:
    ///
    ///     log π ← (log π + η τ log π_ref + η P π)/(1 + η τ) − const
    ///
    /// With `η = τ/L²`, `L = max |P − ½|`, the divergence from the solution shrinks by
    /// `1/(1 + η τ)` a step (Sokota et al., arXiv:2206.05825, theorem 3.4), until the residual of
    /// the fixed point in `log π` is below `tolerance`. Returns the number of steps.
    public static func equilibrium(
        preference P: Rows<Double>, reference: UnsafePointer<Double>, tau: Double,
        tolerance: Double, maximumIterations: Int, into policy: UnsafeMutablePointer<Double>
    ) throws(NumericsError) -> Int {
        let n = P.count
        let logp = try Buffer<Double>(n), target = try Buffer<Double>(n)
        var bound = 0.0
        for i in 0..<n {
            logp.base[i] = Double.log(reference[i])
            for j in 0..<n { bound = max(bound, (P[i][j] - 0.5).magnitude) }
        }
        normalizeLogarithms(n, logp.base)
        // The fixed point's own step is a share s = ητ/(1 + ητ) of the way to the target.
        let share = bound > 0 ? 1 / (1 + bound * bound / (tau * tau)) : 1
        for iteration in 0...max(maximumIterations, 0) {
            for i in 0..<n {
                var wins = 0.0
                for j in 0..<n { wins += (P[i][j] - 0.5) * Double.exp(logp.base[j]) }
                target.base[i] = Double.log(reference[i]) + wins / tau
            }
            normalizeLogarithms(n, target.base)
            var residual = 0.0
            for i in 0..<n where reference[i] > 0 {
                residual = max(residual, (target.base[i] - logp.base[i]).magnitude)
            }
            guard residual > tolerance else {
                for i in 0..<n { policy[i] = Double.exp(target.base[i]) }
                return iteration
            }
            guard iteration < maximumIterations, residual.isFinite else {
                throw .noConvergence(iterations: iteration, residual: residual)
            }
            for i in 0..<n where reference[i] > 0 {
                logp.base[i] += share * (target.base[i] - logp.base[i])
            }
            normalizeLogarithms(n, logp.base)
        }
        return maximumIterations
    }

    private static func normalizeLogarithms(_ n: Int, _ x: UnsafeMutablePointer<Double>) {
        var top = -Double.infinity, sum = 0.0
        for i in 0..<n { top = max(top, x[i]) }
        for i in 0..<n { sum += Double.exp(x[i] - top) }
        let total = top + Double.log(sum)
        for i in 0..<n { x[i] -= total }
    }
}
