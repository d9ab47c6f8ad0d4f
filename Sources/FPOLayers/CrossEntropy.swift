public import FPONumerics
import Glibc

/// Log-probabilities of a softmax whose logits come in chunks of the vocabulary, so that they are
/// never all in memory.
///
/// A row's state is six floats, `states (m, 6)`: the greatest logit, `Σ e^{z − greatest}`,
/// `Σ (z − greatest) e^{z − greatest}`, the target's logit, the index of the greatest logit (its
/// bits as `Int32`; the lowest of equals), and one to spare.
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
        let kernel = transformerKernels.layers.accumulate
        ThreadPool.shared.run(items: logits.rows, cost: 4 * c) { rows in
            for i in rows {
                let z = base + i * ld, state = states.base + i * stateColumns
                let index = kernel(c, z, state)
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
            entropy?[i] = logarithm - state[2] / state[1]
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
        let kernel = transformerKernels.layers.scaledExponential
        ThreadPool.shared.run(items: logits.rows, cost: 4 * c) { rows in
            for i in rows {
                let z = base + i * ld
                kernel(c, coefficients[i], logSumExp[i], z)
                let target = Int(targets[i]) - firstToken
                if target >= 0 && target < c { z[target] -= coefficients[i] }
            }
        }
    }
}
