import FPOLayers
import FPONumerics

/// Inner products `⟨gᵢ, gⱼ⟩` of the texts' gradients, summed over the parameters in double, without
/// the gradients as a whole.
///
/// A weight's part of it is `Σ_{t,s} (B Bᵀ)_ts (A Aᵀ)_ts` over the tokens `t` of text `i` and `s` of
/// text `j`, with `A` the inputs and `B` the outputs' gradients (Li et al., arXiv:2110.05679), or the
/// product of the texts' `Bᵀ A`, formed for some rows of the weight at a time: whichever takes fewer
/// operations.
final class GhostGram {
    let texts: Int
    /// `(texts, texts)`; the lower triangle is summed.
    private let sums: Buffer<Double>
    private let dot: @Sendable (Int, UnsafePointer<Float>, UnsafePointer<Float>) -> Double

    init(texts: Int) throws(NumericsError) {
        self.texts = texts
        sums = try Buffer(texts, texts)
        dot = try Float.kernels().dot
    }

    /// `⟨gᵢ, gⱼ⟩`
    subscript(_ i: Int, _ j: Int) -> Double { sums.base[max(i, j) * texts + min(i, j)] }

    /// Adds the products of the rows of `values (texts, n)`.
    func addVectors(_ values: Matrix<Float>) {
        let (n, sums, dot) = (values.columns, sums.base, dot)
        ThreadPool.shared.run(items: texts, cost: texts * n) { range in
            for i in range {
                for j in 0...i {
                    sums[i * self.texts + j] += dot(n, values.base + i * n, values.base + j * n)
                }
            }
        }
    }

    func addWeight(_ uses: [GradientSink.Use], _ stack: ActivationStack) throws(NumericsError) {
        let (outputs, inputs) = (uses[0].dy.columns, uses[0].x.columns)
        let tokens = uses.reduce(0) { $0 + $1.dy.rows }
        let ghost = tokens * tokens * (outputs + inputs)
        let formed = (2 * tokens + texts * texts) * outputs * inputs
        if uses.count == 1, !uses[0].shared, ghost < formed {
            try addPairs(uses[0], stack)
        } else {
            try addFormed(uses, outputs, inputs, stack)
        }
    }

    private func addPairs(_ use: GradientSink.Use, _ stack: ActivationStack) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let n = use.dy.rows
        let left = try stack.matrix(n, n), right = try stack.matrix(n, n)
        GEMM.multiply(left, use.dy, use.dy, transposeB: true)
        GEMM.multiply(right, use.x, use.x, transposeB: true)
        let (sums, dot, texts) = (sums.base, dot, texts)
        ThreadPool.shared.run(items: texts, cost: n * n / max(texts, 1)) { range in
            for i in range {
                for j in 0...i {
                    let (start, count) = (use.texts[j], use.texts[j + 1] - use.texts[j])
                    for t in use.texts[i]..<use.texts[i + 1] {
                        let at = t * n + start
                        sums[i * texts + j] += dot(count, left.base + at, right.base + at)
                    }
                }
            }
        }
    }

    /// 4 MiB for the rows of all texts' gradients that are formed at a time.
    private static let chunk = 1 << 20

    private func addFormed(
        _ uses: [GradientSink.Use], _ outputs: Int, _ inputs: Int, _ stack: ActivationStack
    ) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let size = max(1, min(outputs, Self.chunk / (texts * inputs)))
        let formed = try stack.matrix(texts, size * inputs)
        let products = try stack.matrix(texts, texts)
        var first = 0
        while first < outputs {
            let count = min(size, outputs - first)
            for i in 0..<texts {
                let out = Matrix(
                    base: formed.base + i * formed.columns, rows: count, columns: inputs)
                for (k, use) in uses.enumerated() {
                    let (dy, x) = use.rows(i)
                    GEMM.multiply(
                        out, dy.columns(first..<first + count), x, transposeA: true, adding: k > 0)
                }
            }
            add(formed, count * inputs, products)
            first += count
        }
    }

    /// Adds the products of the first `length` columns, of at most 4096 columns in single precision.
    private func add(_ formed: Matrix<Float>, _ length: Int, _ products: Matrix<Float>) {
        var start = 0
        while start < length {
            let part = formed.columns(start..<min(start + 4096, length))
            GEMM.multiply(products, part, part, transposeB: true)
            for i in 0..<texts {
                for j in 0...i { sums.base[i * texts + j] += Double(products[i, j]) }
            }
            start += part.columns
        }
    }

    /// Products of embedding gradients: only rows that two texts have in common count.
    func addEmbedding(
        _ rows: UnsafePointer<Int32>, _ dy: Matrix<Float>, _ offsets: [Int]
    ) throws(NumericsError) {
        let n = dy.columns
        let summed = try Buffer<Float>(dy.rows, n)
        // For each text its distinct rows in order, and where their sum stands in `summed`.
        var index: [[(row: Int32, at: Int)]] = []
        for text in 0..<texts {
            let tokens = (offsets[text]..<offsets[text + 1]).sorted {
                (rows[$0], $0) < (rows[$1], $1)
            }
            var distinct: [(row: Int32, at: Int)] = []
            for t in tokens {
                if distinct.last?.row != rows[t] { distinct.append((rows[t], t)) }
                addProduct(
                    n, 1, dy.base + t * n, to: summed.base + distinct.last!.at * n)
            }
            index.append(distinct)
        }
        for i in 0..<texts {
            for j in 0...i {
                var (a, b) = (index[i][...], index[j][...])
                while let x = a.first, let y = b.first {
                    if x.row == y.row {
                        sums.base[i * texts + j] += dot(
                            n, summed.base + x.at * n, summed.base + y.at * n)
                    }
                    if x.row <= y.row { a = a.dropFirst() }
                    if y.row <= x.row { b = b.dropFirst() }
                }
            }
        }
    }
}
