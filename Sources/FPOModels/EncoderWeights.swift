import FPOLayers
import FPONumerics

/// An encoder's weights as one computation sees them: frozen ones from the encoder, trainable ones
/// and adapters from a flat vector.
struct EncoderWeights {
    typealias Linear = EncoderArchitecture.Linear
    typealias Norm = EncoderArchitecture.Norm

    let encoder: TextEncoder
    let layout: TrainableLayout
    let values: UnsafeMutablePointer<Float>

    var architecture: EncoderArchitecture { encoder.architecture }
    var configuration: EncoderConfiguration { encoder.configuration }

    /// A vector or an embedding.
    func plain(_ index: Int) -> Matrix<Float> {
        let tensor = encoder.tensors[index]
        let base = layout.copies[index].map { values + $0 } ?? encoder.plain(index)
        return Matrix(base: base, rows: tensor.rows, columns: tensor.columns)
    }

    private func vector(_ index: Int) -> Matrix<Float> {
        let column = plain(index)
        return Matrix(base: column.base, rows: 1, columns: column.rows)
    }

    private func copy(_ index: Int) -> Matrix<Float>? {
        layout.copies[index].map {
            Matrix(
                base: values + $0, rows: encoder.tensors[index].rows,
                columns: encoder.tensors[index].columns)
        }
    }

    private func factors(_ weight: Int) -> (a: Matrix<Float>, b: Matrix<Float>)? {
        guard let adapter = layout.adapters[weight] else { return nil }
        let (rank, tensor) = (layout.rank, encoder.tensors[weight])
        return (
            Matrix(base: values + adapter.a, rows: rank, columns: tensor.columns),
            Matrix(base: values + adapter.b, rows: tensor.rows, columns: rank)
        )
    }

    // MARK: Linear maps

    /// `y ← x Wᵀ + b`, and with an adapter `y += u Bᵀ` for `u = scale x Aᵀ`, which is returned.
    func forward(
        _ linear: Linear, _ y: Matrix<Float>, x: Matrix<Float>, stack: ActivationStack
    ) throws(NumericsError) -> Matrix<Float>? {
        if let weight = copy(linear.weight) {
            GEMM.multiply(y, x, weight, transposeB: true)
        } else {
            encoder.packed(linear.weight).multiply(y, x: x)
        }
        if let bias = linear.bias { addToRows(y, vector(bias)) }
        guard let (a, b) = factors(linear.weight) else { return nil }
        let u = try stack.matrix(x.rows, layout.rank)
        GEMM.multiply(u, x, a, transposeB: true, alpha: layout.scale)
        GEMM.multiply(y, u, b, transposeB: true, adding: true)
        return u
    }

    private func addToRows(_ y: Matrix<Float>, _ bias: Matrix<Float>) {
        ThreadPool.shared.run(items: y.rows, cost: y.columns) { rows in
            for i in rows { addProduct(y.columns, 1, bias.base, to: y.base + i * y.columns) }
        }
    }

    /// One use of a linear map, with the adapter's `u`.
    struct Use {
        let dy, x: Matrix<Float>
        let u: Matrix<Float>?
        let texts: [Int]
        var shared = false
    }

    /// The gradients of `forward`, over all uses of the map: of what is trained to the sink, and
    /// where it is wanted `dx[k] += dyₖ W` for use `k`.
    func backward(
        _ linear: Linear, uses: [Use], dx: [Matrix<Float>?], sink: GradientSink,
        stack: ActivationStack
    ) throws(NumericsError) {
        let mark = stack.mark
        defer { stack.release(to: mark) }
        let plain = uses.map {
            GradientSink.Use(dy: $0.dy, x: $0.x, texts: $0.texts, shared: $0.shared)
        }
        if let offset = layout.copies[linear.weight] {
            try sink.weight(offset, uses: plain, stack: stack)
        }
        if let bias = linear.bias, let offset = layout.copies[bias] {
            try sink.bias(offset, uses: plain, stack: stack)
        }
        for (use, dx) in zip(uses, dx) {
            guard let dx else { continue }
            if let weight = copy(linear.weight) {
                GEMM.multiply(dx, use.dy, weight, adding: true)
            } else {
                encoder.packed(linear.weight).multiplyTransposed(dx, dy: use.dy, adding: true)
            }
        }
        guard let (a, b) = factors(linear.weight), let adapter = layout.adapters[linear.weight]
        else { return }
        var aUses: [GradientSink.Use] = [], bUses: [GradientSink.Use] = []
        for (use, dx) in zip(uses, dx) {
            let du = try stack.matrix(use.dy.rows, layout.rank)
            GEMM.multiply(du, use.dy, b, alpha: layout.scale)
            aUses.append(.init(dy: du, x: use.x, texts: use.texts, shared: use.shared))
            bUses.append(.init(dy: use.dy, x: use.u!, texts: use.texts, shared: use.shared))
            if let dx { GEMM.multiply(dx, du, a, adding: true) }
        }
        try sink.weight(adapter.a, uses: aUses, stack: stack)
        try sink.weight(adapter.b, uses: bUses, stack: stack)
    }

    func backward(
        _ linear: Linear, dx: Matrix<Float>?, dy: Matrix<Float>, x: Matrix<Float>,
        u: Matrix<Float>?, texts: [Int], sink: GradientSink, stack: ActivationStack
    ) throws(NumericsError) {
        try backward(
            linear, uses: [Use(dy: dy, x: x, u: u, texts: texts)], dx: [dx], sink: sink,
            stack: stack)
    }

    // MARK: Norms

    /// `x ← x + residual`, `y ← norm(x)`; returns what `backward` needs.
    func forward(
        _ norm: Norm, _ y: Matrix<Float>, x: Matrix<Float>, adding residual: Matrix<Float>? = nil,
        stack: ActivationStack
    ) throws(NumericsError) -> Matrix<Float> {
        let statistics = try stack.matrix(x.rows, 2)
        LayerNorm.forward(
            y, x: x, adding: residual, weight: vector(norm.weight), bias: vector(norm.bias),
            epsilon: Float(configuration.epsilon), statistics: statistics)
        return statistics
    }

    /// `dx += …` where it is wanted, and the gradients of weight and bias to the sink. Text `i` has
    /// rows `texts[i] ..< texts[i + 1]` of `dy`, and the same of `x`, or all of `x` if it is shared.
    func backward(
        _ norm: Norm, dx: Matrix<Float>?, dy: Matrix<Float>, x: Matrix<Float>,
        statistics: Matrix<Float>, texts: [Int], shared: Bool = false, sink: GradientSink,
        stack: ActivationStack
    ) throws(NumericsError) {
        let weight = vector(norm.weight)
        func pass(_ rows: Range<Int>, _ dWeight: Matrix<Float>?, _ dBias: Matrix<Float>?) {
            func part(_ matrix: Matrix<Float>) -> Matrix<Float> {
                matrix.rows(rows.lowerBound, count: rows.count)
            }
            LayerNorm.backward(
                dx: dx.map(part), dWeight: dWeight, dBias: dBias, dy: part(dy),
                x: shared ? x : part(x), weight: weight,
                statistics: shared ? statistics : part(statistics))
        }
        if let weight = layout.copies[norm.weight], let bias = layout.copies[norm.bias] {
            try sink.norm(weight, bias, width: dy.columns, texts: texts, stack: stack, pass)
        } else {
            pass(0..<dy.rows, nil, nil)
        }
    }
}
