import FPONumerics

/// Dropout of hidden states: an element stays with probability `1 − rate`, divided by it. The mask
/// of a text depends on the key, the site and the text's place in the batch, and is drawn anew
/// where the backward pass needs it.
struct Dropout {
    let rate: Double
    let key: RandomKey

    /// Multiplies the rows of each text by the site's mask.
    func apply(
        _ x: Matrix<Float>, site: Int, texts: [Int], stack: ActivationStack
    ) throws(NumericsError) {
        let uniform = try Float.kernels().uniform
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let draws = try stack.matrix(x.rows, x.columns)
        let (rate, factor) = (Float(rate), Float(1 / (1 - rate)))
        let key = key.fold(UInt64(site)), n = x.columns
        ThreadPool.shared.run(tasks: texts.count - 1) { i in
            let (start, count) = (texts[i] * n, (texts[i + 1] - texts[i]) * n)
            let draw = draws.base + start, x = x.base + start
            uniform(key.fold(UInt64(i)).value, count, draw)
            for j in 0..<count { x[j] = draw[j] < rate ? 0 : x[j] * factor }
        }
    }
}
