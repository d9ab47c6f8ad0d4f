import FPONumerics

/// The best of `n` independent samples by a score, exactly, for a finite distribution.
///
///     P_n(c) = F(c)ⁿ − F(c⁻)ⁿ      for a class c of equal scores, shared within it as before
///     KL     = Σ_c P_n(c) log(P_n(c)/P(c))
///
/// with `F` the distribution function of the score. `log n − (n − 1)/n` is the limit without ties
/// and atoms, and only an upper bound here. Beirami et al., arXiv:2401.01879.
public enum BestOfN {
    /// `log n − (n − 1)/n`
    public static func divergenceBound(_ n: Int) -> Double {
        Double.log(Double(n)) - Double(n - 1) / Double(n)
    }

    /// Probabilities after selection, and the divergence from those before.
    public static func evaluate(
        count m: Int, probability: UnsafePointer<Double>, score: UnsafePointer<Double>, n: Int,
        into selected: UnsafeMutablePointer<Double>
    ) throws(NumericsError) -> Double {
        let order = try sorted(m, score)
        var total = 0.0
        for i in 0..<m { total += probability[i] }
        var below = 0.0, divergence = 0.0, start = 0
        while start < m {
            var end = start, mass = 0.0
            while end < m && score[order.base[end]] == score[order.base[start]] {
                mass += probability[order.base[end]]
                end += 1
            }
            let F = min((below + mass) / total, 1), q = mass / total
            // F ⁿ (1 − (1 − q/F)ⁿ), which keeps the digits of a small class.
            let lost = F > 0 ? Double(n) * Double.log(onePlus: -min(q / F, 1)) : 0
            let P = Double.exp(Double(n) * Double.log(end == m ? 1 : F)) * -Double.expMinusOne(lost)
            if P > 0 { divergence += P * (Double.log(P) - Double.log(q)) }
            for k in start..<end {
                let i = order.base[k]
                selected[i] = mass > 0 ? P * (probability[i] / mass) : 0
            }
            below += mass
            start = end
        }
        return max(divergence, 0)
    }

    /// An unbiased estimate of the expected gold score of the best of `n` by a proxy, from `N ≥ n`
    /// samples: `Σ_i C(i − 1, n − 1)/C(N, n) gold_(i)`, sorted by the proxy; ties share evenly.
    /// Nakano et al., arXiv:2112.09332, appendix I.
    public static func estimate(
        count N: Int, proxy: UnsafePointer<Double>, gold: UnsafePointer<Double>, n: Int
    ) throws(NumericsError) -> Double {
        let order = try sorted(N, proxy)
        var weight = Double(n) / Double(N), result = 0.0, end = N
        while end > 0 {
            var start = end, weights = 0.0, mean = 0.0
            while start > 0 && proxy[order.base[start - 1]] == proxy[order.base[end - 1]] {
                weights += weight
                mean += gold[order.base[start - 1]]
                // C(i − 2, n − 1)/C(i − 1, n − 1) = (i − n)/(i − 1)
                weight *= start > 1 ? Double(max(start - n, 0)) / Double(start - 1) : 0
                start -= 1
            }
            result += weights * mean / Double(end - start)
            end = start
        }
        return result
    }

    /// Positions by ascending score (heap sort: no recursion, no allocation beside the result).
    private static func sorted(
        _ m: Int, _ score: UnsafePointer<Double>
    ) throws(NumericsError) -> Buffer<Int> {
        let order = try Buffer<Int>(m)
        for i in 0..<m { order.base[i] = i }
        func sift(_ root: Int, _ count: Int) {
            var parent = root
            while 2 * parent + 1 < count {
                var child = 2 * parent + 1
                if child + 1 < count
                    && score[order.base[child]] < score[order.base[child + 1]]
                {
                    child += 1
                }
                guard score[order.base[parent]] < score[order.base[child]] else { return }
                (order.base[parent], order.base[child]) = (order.base[child], order.base[parent])
                parent = child
            }
        }
        for root in stride(from: m / 2 - 1, through: 0, by: -1) { sift(root, m) }
        for end in stride(from: m - 1, to: 0, by: -1) {
            (order.base[0], order.base[end]) = (order.base[end], order.base[0])
            sift(0, end)
        }
        return order
    }
}
