import FPOKernelTypes
public import FPONumerics

/// The exact penalty: the influence of a sample on the reward that the retrained model will give
/// the policy, by the implicit function theorem with the damped Gauss–Newton Hessian of the loss.
///
///     Pᵢ = eᵢ ⟨vᵢ, w⟩,   (H + δ I) w = ḡ,   H = (1/n) Σᵢ cᵢ vᵢ vᵢᵀ
///
/// Rows `vᵢ` are gradients `gᵢ`, or `gᵢ − g₀ᵢ` for Bradley–Terry. The curvature `cᵢ ≥ 0` is the
/// second derivative of the loss in its own argument: 1 for the squared error, `σ (1 − σ)` for
/// Bradley–Terry. `ḡ` is the mean gradient of the policy, by default over these samples. `δ → ∞`
/// gives `δ P → eᵢ ⟨vᵢ, ḡ⟩`; for the squared error with a constant gradient column, `δ → 0` gives
/// `P = e`, so that the penalised reward is the oracle's utility.
///
/// Gauthier, Bach and Jordan, arXiv:2605.04266; the Gram form is this project's
/// (docs/math/fpo-penalty.md).
public struct ExactPenalty {
    public enum Solver: Sendable {
        /// The `(n, n)` system, or the `(p, p)` one where it is smaller, by Cholesky: up to an
        /// order of a few thousand.
        case gram
        /// Products with `H` alone, until the residual is `tolerance` times `‖ḡ‖`.
        case conjugateGradient(tolerance: Double, maximumIterations: Int)
    }

    public let gradients: Rows<Double>
    /// The references' gradients: Bradley–Terry.
    public let reference: Rows<Double>?
    /// `c`, one a sample; all 1 where `nil`.
    public let curvature: UnsafePointer<Double>?
    /// `ḡ`; the mean of `gradients` where `nil`.
    public let meanGradient: UnsafePointer<Double>?
    /// `δ > 0`.
    public let damping: Double

    public init(
        gradients: Rows<Double>, reference: Rows<Double>? = nil,
        curvature: UnsafePointer<Double>? = nil, meanGradient: UnsafePointer<Double>? = nil,
        damping: Double
    ) {
        self.gradients = gradients
        self.reference = reference
        self.curvature = curvature
        self.meanGradient = meanGradient
        self.damping = damping
    }

    private var n: Int { gradients.count }
    private var p: Int { gradients.columns }

    /// Writes one value a sample. Nothing is written when this throws.
    public func evaluate(
        overconfidence: UnsafePointer<Double>, solver: Solver,
        into penalty: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        guard n > 0 else { return }
        let mean = try Buffer<Double>(p)
        if let meanGradient {
            mean.base.update(from: meanGradient, count: p)
        } else {
            let weights = try Buffer<Double>(n)
            weights.base.update(repeating: 1 / Double(n), count: n)
            sumRows(gradients, less: nil, weights: weights.base, into: mean.base)
        }
        let alignment = try Buffer<Double>(n)
        switch solver {
        case .gram:
            if n <= p {
                try dualAlignment(mean.base, into: alignment.base)
            } else {
                try primalAlignment(mean.base, into: alignment.base)
            }
        case .conjugateGradient(let tolerance, let maximumIterations):
            try conjugateGradientAlignment(
                mean.base, tolerance, maximumIterations, into: alignment.base)
        }
        for i in 0..<n { penalty[i] = overconfidence[i] * alignment.base[i] }
    }

    /// `⟨vᵢ, w⟩` for all samples, with `H = Sᵀ S` of the rows `sᵢ = √(cᵢ/n) vᵢ` written out. With
    /// `p < n`, `S Sᵀ` would be singular: only damping would keep the other system solvable.
    private func primalAlignment(
        _ mean: UnsafePointer<Double>, into alignment: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        let (n, p) = (n, p)
        let scaled = try Buffer<Double>(n, p), w = try Buffer<Double>(p)
        let system = try Buffer<Double>(p, p)
        for i in 0..<n {
            let (root, row) = (root(i), scaled.base + i * p)
            addProduct(p, root, gradients[i], to: row)
            if let reference { addProduct(p, -root, reference[i], to: row) }
        }
        let s = Rows(base: UnsafePointer(scaled.base), count: n, columns: p, leadingDimension: p)
        try Gram.ofColumns(s, into: system.base)
        for j in 0..<p { system.base[j * p + j] += damping }
        w.base.update(from: mean, count: p)
        try Cholesky(system, order: p).solve(w.base)
        align(w.base, try Double.kernels(), into: alignment)
    }

    /// `√(cᵢ/n)`
    private func root(_ i: Int) -> Double { ((curvature?[i] ?? 1) / Double(n)).squareRoot() }

    /// `⟨vᵢ, w⟩` for all samples, by the Woodbury identity. With `dᵢ = √(cᵢ/n)`, `D = diag d`,
    /// `K = V Vᵀ` and `a = V ḡ`:
    ///
    ///     (δ I + D K D) y = D a
    ///     ⟨vᵢ, w⟩ = (aᵢ − Σ_{j ≠ i} Kᵢⱼ dⱼ yⱼ) / (δ + dᵢ² Kᵢᵢ)
    ///
    /// The last line is row `i` of the system solved for `yᵢ / dᵢ`. Unlike `(a − K D y) / δ`, to
    /// which it is equal, it does not cancel where `δ` is small, and it holds for `dᵢ = 0`.
    private func dualAlignment(
        _ mean: UnsafePointer<Double>, into alignment: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        let n = n
        let differences = try Buffer<Double>(reference == nil ? 0 : n, p)
        let v = rows(differences.base)
        let a = try Buffer<Double>(n), y = try Buffer<Double>(n)
        let d = try Buffer<Double>(n), k = try Buffer<Double>(n, n)
        try Gram.ofRows(v, into: k.base)
        let dot = try Double.kernels().dot
        for i in 0..<n {
            a.base[i] = dot(p, v[i], mean)
            d.base[i] = root(i)
            y.base[i] = d.base[i] * a.base[i]
        }
        let system = try Buffer<Double>(n, n)
        for i in 0..<n {
            for j in 0...i { system.base[i * n + j] = d.base[i] * k.base[i * n + j] * d.base[j] }
            system.base[i * n + i] += damping
        }
        try Cholesky(system, order: n).solve(y.base)
        for i in 0..<n {
            var rest = a.base[i]
            for j in 0..<n where j != i {
                rest -= k.base[max(i, j) * n + min(i, j)] * d.base[j] * y.base[j]
            }
            let own = d.base[i] * d.base[i] * k.base[i * n + i]
            alignment[i] = rest / (damping + own)
        }
    }

    /// `V` as one array: `gradients`, or the differences, written to `memory`.
    private func rows(_ memory: UnsafeMutablePointer<Double>) -> Rows<Double> {
        guard let reference else { return gradients }
        let p = p
        ThreadPool.shared.run(items: n, cost: p) { samples in
            for i in samples {
                for j in 0..<p { memory[i * p + j] = gradients[i][j] - reference[i][j] }
            }
        }
        return Rows(base: UnsafePointer(memory), count: n, columns: p, leadingDimension: p)
    }

    private func conjugateGradientAlignment(
        _ mean: UnsafePointer<Double>, _ tolerance: Double, _ maximumIterations: Int,
        into alignment: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        let (n, p) = (n, p)
        let kernels = try Double.kernels()
        let weights = try Buffer<Double>(n), w = try Buffer<Double>(p)
        try conjugateGradient(
            order: p, rightHandSide: mean, tolerance: tolerance,
            maximumIterations: maximumIterations, into: w.base
        ) { x, image in
            align(x, kernels, into: alignment)
            for i in 0..<n { weights.base[i] = (curvature?[i] ?? 1) * alignment[i] / Double(n) }
            for j in 0..<p { image[j] = damping * x[j] }
            sumRows(gradients, less: reference, weights: weights.base, into: image)
        }
        align(w.base, kernels, into: alignment)
    }

    /// `⟨vᵢ, x⟩` for all samples.
    private func align(
        _ x: UnsafePointer<Double>, _ kernels: KernelTable<Double>,
        into alignment: UnsafeMutablePointer<Double>
    ) {
        ThreadPool.shared.run(items: n, cost: p) { samples in
            for i in samples {
                if let reference {
                    alignment[i] = kernels.differenceDot(p, gradients[i], reference[i], x)
                } else {
                    alignment[i] = kernels.dot(p, gradients[i], x)
                }
            }
        }
    }

    /// `out += Σᵢ weightsᵢ (rowᵢ − lessᵢ)`. Each task owns a range of columns and goes through the
    /// rows in order: the same bits for any number of threads.
    private func sumRows(
        _ rows: Rows<Double>, less: Rows<Double>?, weights: UnsafePointer<Double>,
        into out: UnsafeMutablePointer<Double>
    ) {
        ThreadPool.shared.run(items: rows.columns, cost: rows.count) { columns in
            let (start, width) = (columns.lowerBound, columns.count)
            for i in 0..<rows.count {
                addProduct(width, weights[i], rows[i] + start, to: out + start)
                if let less { addProduct(width, -weights[i], less[i] + start, to: out + start) }
            }
        }
    }
}
