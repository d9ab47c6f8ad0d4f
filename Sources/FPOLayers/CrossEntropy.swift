public import FPONumerics
import Glibc

/// Log-probabilities of a softmax whose logits come in chunks of the vocabulary, so that they are
/// never all in memory.
///
/// A row's state is six floats, `states (m, 6)`: the greatest logit, `Σ e^{z − greatest}`,
/// `Σ z e^{z − greatest}`, the target's logit, and the index of the greatest logit (its bits as
/// `Int32`; the lowest of equals).
public enum CrossEntropy {
    public static let stateColumns = 6

    /// The state before the first chunk.
    public static func begin(_ states: Matrix<Float>) {
        for i in 0..<states.rows {
            let state = states.base + i * stateColumns
            state.update(repeating: 0, count: stateColumns)
            (state[0], state[3]) = (-.infinity, -.infinity)
        }
    }

    /// Takes in the logits `(m, c)` of tokens `firstToken ..< firstToken + c`. `targets` `m` tokens;
    /// a negative one is none.
    public static func accumulate(
        _ states: Matrix<Float>, logits: some RowMajor, firstToken: Int,
        targets: UnsafePointer<Int32>?
    ) {
        let c = logits.columns, (base, ld) = (logits.base, logits.leadingDimension)
        ThreadPool.shared.run(items: logits.rows, cost: 16 * c) { rows in
            for i in rows {
                let z = base + i * ld, state = states.base + i * stateColumns
                var top = state[0], index = -1
                for j in 0..<c where z[j] > top { (top, index) = (z[j], j) }
                let shrink = state[0] == top ? 1 : exp(Double(state[0] - top))
                var sum = Double(state[1]) * shrink, weighted = Double(state[2]) * shrink
                for j in 0..<c {
                    let e = exp(Double(z[j] - top))
                    sum += e
                    weighted += Double(z[j]) * e
                }
                (state[0], state[1], state[2]) = (top, Float(sum), Float(weighted))
                if index >= 0 {
                    state[4] = Float(bitPattern: UInt32(bitPattern: Int32(firstToken + index)))
                }
                if let target = targets?[i], target >= firstToken, target < firstToken + c {
                    state[3] = z[Int(target) - firstToken]
                }
            }
        }
    }

    /// What a complete state says. An output that is not wanted is `nil`; each has `m` elements.
    ///
    /// - Parameters:
    ///   - logProbability: of the target.
    ///   - logSumExp: for ``gradient``.
    ///   - entropy: of the softmax.
    ///   - greatest: the token of the greatest logit.
    public static func finish(
        _ states: Matrix<Float>, logProbability: UnsafeMutablePointer<Float>? = nil,
        logSumExp: UnsafeMutablePointer<Float>? = nil,
        entropy: UnsafeMutablePointer<Float>? = nil,
        greatest: UnsafeMutablePointer<Int32>? = nil
    ) {
        for i in 0..<states.rows {
            let state = states.base + i * stateColumns
            let logarithm = logf(state[1])
            logProbability?[i] = (state[3] - state[0]) - logarithm
            logSumExp?[i] = state[0] + logarithm
            entropy?[i] = logarithm + (state[0] - state[2] / state[1])
            greatest?[i] = Int32(bitPattern: state[4].bitPattern)
        }
    }

    /// Replaces the logits of a chunk by `coefficientᵢ (softmax − onehot(target))`: with the
    /// coefficient `1` the gradient of `−log p(target)`.
    public static func gradient(
        _ logits: some RowMajor, firstToken: Int, targets: UnsafePointer<Int32>,
        logSumExp: UnsafePointer<Float>, coefficients: UnsafePointer<Float>
    ) {
        let c = logits.columns, (base, ld) = (logits.base, logits.leadingDimension)
        ThreadPool.shared.run(items: logits.rows, cost: 16 * c) { rows in
            for i in rows {
                let z = base + i * ld
                for j in 0..<c { z[j] = coefficients[i] * exp(z[j] - logSumExp[i]) }
                let target = Int(targets[i]) - firstToken
                if target >= 0 && target < c { z[target] -= coefficients[i] }
            }
        }
    }
}
