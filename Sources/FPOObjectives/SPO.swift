public import FPONumerics

/// Self-play preference optimisation: the reward of a response is the share of the policy's own
/// other samples that it is preferred to, and any policy gradient climbs it.
///
///     r_i = mean_{j ≠ i} P(y_i ≻ y_j)
///
/// over the samples of one prompt; ½ where there is no other. Swamy et al., arXiv:2401.04056,
/// algorithm 2.
public enum SPO {
    public static func reward(
        of i: Int, preference P: Rows<Double>, group: UnsafePointer<Int64>?
    ) -> Double {
        var sum = 0.0, count = 0.0
        for j in 0..<P.count where j != i && group?[j] == group?[i] {
            sum += P[i][j]
            count += 1
        }
        return count > 0 ? sum / count : 0.5
    }
}
