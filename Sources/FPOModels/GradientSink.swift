import FPOLayers
import FPONumerics

/// What becomes of the parameter gradients of a batch of texts.
enum GradientSink {
    /// Added up in one flat vector.
    case sum(UnsafeMutablePointer<Float>)
    /// Added to one row for each text.
    case rows(UnsafeMutablePointer<Float>, leadingDimension: Int)
    /// Only their inner products are kept.
    case gram(GhostGram)

    /// Whether the texts' gradients are told apart.
    var separates: Bool { if case .sum = self { false } else { true } }

    /// One use of a weight: `W` takes rows of `x` to rows whose gradient is `dy`, so that
    /// `dW = dyᵀ x`. Text `i` has rows `texts[i] ..< texts[i + 1]` of `dy`, and the same of `x`,
    /// or, if it is `shared`, all of `x`.
    struct Use {
        let dy, x: Matrix<Float>
        let texts: [Int]
        var shared = false

        func rows(_ text: Int) -> (dy: Matrix<Float>, x: Matrix<Float>) {
            let count = texts[text + 1] - texts[text]
            let dy = dy.rows(texts[text], count: count)
            return (dy, shared ? x : x.rows(texts[text], count: count))
        }
    }

    /// The gradient of a weight `(outputs, inputs)` at `offset`, `Σ dyᵀ x` over its uses.
    func weight(
        _ offset: Int, uses: [Use], stack: ActivationStack
    ) throws(NumericsError) {
        let (outputs, inputs) = (uses[0].dy.columns, uses[0].x.columns)
        func add(_ base: UnsafeMutablePointer<Float>, _ dy: Matrix<Float>, _ x: Matrix<Float>) {
            let out = Matrix(base: base + offset, rows: outputs, columns: inputs)
            GEMM.multiply(out, dy, x, transposeA: true, adding: true)
        }
        switch self {
        case .sum(let base): for use in uses { add(base, use.dy, use.x) }
        case .rows(let base, let leadingDimension):
            for use in uses {
                for i in 0..<use.texts.count - 1 {
                    let (dy, x) = use.rows(i)
                    add(base + i * leadingDimension, dy, x)
                }
            }
        case .gram(let gram): try gram.addWeight(uses, stack)
        }
    }

    /// The gradient of a vector at `offset`: row `i` of `values (texts, n)` is text `i`'s, or, where
    /// texts are not told apart, a part of the sum.
    func vector(_ offset: Int, _ values: Matrix<Float>) {
        switch self {
        case .sum(let base):
            for i in 0..<values.rows {
                addProduct(
                    values.columns, 1, values.base + i * values.columns, to: base + offset)
            }
        case .rows(let base, let leadingDimension):
            for i in 0..<values.rows {
                addProduct(
                    values.columns, 1, values.base + i * values.columns,
                    to: base + i * leadingDimension + offset)
            }
        case .gram(let gram): gram.addVectors(values)
        }
    }

    /// The gradient of a bias at `offset`: the sum of a text's rows of `dy`, over all uses.
    func bias(_ offset: Int, uses: [Use], stack: ActivationStack) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let texts = separates ? uses[0].texts.count - 1 : 1
        let sums = try stack.zeros(texts, uses[0].dy.columns)
        for use in uses {
            let texts = separates ? use.texts : [0, use.dy.rows]
            for i in 0..<sums.rows {
                for row in texts[i]..<texts[i + 1] {
                    addProduct(
                        sums.columns, 1, use.dy.base + row * sums.columns,
                        to: sums.base + i * sums.columns)
                }
            }
        }
        vector(offset, sums)
    }

    /// The gradient of an embedding at `offset`: row `rows[t]` of text `i` gets `dy[t]` for the
    /// tokens `t` of the text.
    func embedding(
        _ offset: Int, rows: UnsafePointer<Int32>, dy: Matrix<Float>, texts: [Int]
    ) throws(NumericsError) {
        let width = dy.columns
        func add(_ base: UnsafeMutablePointer<Float>, _ tokens: Range<Int>) {
            for t in tokens {
                addProduct(
                    width, 1, dy.base + t * width, to: base + offset + Int(rows[t]) * width)
            }
        }
        switch self {
        case .sum(let base): add(base, 0..<dy.rows)
        case .rows(let base, let leadingDimension):
            for i in 0..<texts.count - 1 {
                add(base + i * leadingDimension, texts[i]..<texts[i + 1])
            }
        case .gram(let gram): try gram.addEmbedding(rows, dy, texts)
        }
    }

    /// Where a norm's backward pass puts its gradients: calls `body` with the rows of each text (or
    /// all rows at once) and with vectors to add to.
    func norm(
        _ weight: Int, _ bias: Int, width: Int, texts: [Int], stack: ActivationStack,
        _ body: (_ rows: Range<Int>, _ dWeight: Matrix<Float>, _ dBias: Matrix<Float>) -> Void
    ) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let texts = separates ? texts : [0, texts.last!]
        let dWeight = try stack.zeros(texts.count - 1, width)
        let dBias = try stack.zeros(texts.count - 1, width)
        for i in 0..<texts.count - 1 {
            body(texts[i]..<texts[i + 1], dWeight.row(i), dBias.row(i))
        }
        vector(weight, dWeight)
        vector(bias, dBias)
    }
}
