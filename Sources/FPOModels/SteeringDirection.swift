public import FPONumerics

/// How a steering direction's linear system is solved.
public enum SteeringSolver {
    /// Cholesky of the `(n, n)` matrix of ghost inner products.
    case gram
    /// No matrix: conjugate gradient on Gauss-Newton products.
    case conjugateGradient(tolerance: Double, maximumIterations: Int)
}

extension RewardModel where Element == Double {
    /// The direction of the exact penalty, `direction ← w (1, p)`.
    ///
    ///     w = (H + δ I)⁻¹ ḡ,   H = (1/n) Σᵢ cᵢ vᵢ vᵢᵀ,   ḡ = (1/m) Σⱼ g(policyⱼ)
    ///
    /// `H` is the Gauss-Newton Hessian of the loss on the training samples: `v = g` and `c = 1` for
    /// the squared error (its factor 2 is absorbed in the penalty's weight), `v = g − g₀` and
    /// `c = σ (1 − σ)` for Bradley-Terry against a reference. With `S` the rows `√(cᵢ/n) vᵢ`, the
    /// Gram form is `w = (ḡ − Sᵀ (S Sᵀ + δ I)⁻¹ S ḡ) / δ`.
    ///
    /// Nothing is written when there are no training or no policy samples.
    public func steeringDirection(
        _ direction: Matrix<Double>, training: Rows<Double>, reference: Rows<Double>?,
        policy: Rows<Double>, damping: Double, solver: SteeringSolver, parameters: Matrix<Double>
    ) throws(NumericsError) {
        guard training.count > 0, policy.count > 0 else { return }
        let samples = try TrainingSamples(
            model: self, training, reference: reference, parameters: parameters)
        let mean = try Buffer<Double>(layout.count)
        try meanGradient(
            Matrix(base: mean.base, rows: 1, columns: layout.count), of: policy,
            parameters: parameters)
        let solution = try Buffer<Double>(layout.count)
        switch solver {
        case .gram:
            try samples.solveGram(mean.base, damping: damping, into: solution.base)
        case .conjugateGradient(let tolerance, let maximumIterations):
            try conjugateGradient(
                order: layout.count, rightHandSide: mean.base, tolerance: tolerance,
                maximumIterations: maximumIterations, into: solution.base
            ) { vector, image in
                samples.product(vector, damping: damping, into: image)
            }
        }
        direction.base.update(from: solution.base, count: layout.count)
    }

    /// `mean += (1/m) Σⱼ g(yⱼ)`
    private func meanGradient(
        _ mean: Matrix<Double>, of actions: Rows<Double>, parameters: Matrix<Double>
    ) throws(NumericsError) {
        try forEachBatch(actions, backward: true, parameters: parameters, scratch: 1) {
            range, tape, _, arena in
            let scale = arena.matrix(range.count, 1)
            scale.fill(1 / Double(actions.count))
            gradient(dParameters: mean, scale: scale, tape: tape)
        }
    }
}

/// The tapes of all training samples, and products with `S`, whose rows are `√(cᵢ/n) vᵢ`.
private struct TrainingSamples<Model: RewardModel<Double>>: ~Copyable {
    private let model: Model
    private let tape: Model.Tape
    private let other: Model.Tape?
    /// `√(cᵢ/n)`, and scratch of the same shape `(n, 1)`.
    private let root, scratch: Matrix<Double>
    private let arena: Arena<Double>

    private var n: Int { root.rows }
    private var p: Int { model.layout.count }

    init(
        model: Model, _ training: Rows<Double>, reference: Rows<Double>?,
        parameters: Matrix<Double>
    ) throws(NumericsError) {
        let n = training.count
        let tapes = reference == nil ? 1 : 2
        let perRow = elements((tapes, model.dimension), (tapes, model.tapeCount), (1, 2))
        var arena = try Arena<Double>(capacity: elements((n, perRow)))
        self.model = model
        root = arena.matrix(n, 1)
        scratch = arena.matrix(n, 1)
        tape = model.tape(
            training, 0..<n, backward: true, parameters: parameters, arena: &arena)
        root.fill((1 / Double(n)).squareRoot())
        if let reference {
            let other = model.tape(
                reference, 0..<n, backward: true, parameters: parameters, arena: &arena)
            for i in 0..<n {
                let s = sigmoid(model.reward(tape)[i, 0] - model.reward(other)[i, 0])
                root[i, 0] *= (s * (1 - s)).squareRoot()
            }
            self.other = other
        } else {
            other = nil
        }
        self.arena = arena
    }

    private func vector(_ base: UnsafePointer<Double>) -> Matrix<Double> {
        Matrix(base: UnsafeMutablePointer(mutating: base), rows: 1, columns: p)
    }

    /// `out ← S q`
    private func project(_ q: UnsafePointer<Double>, into out: Matrix<Double>) {
        out.fill(0)
        model.gradientDot(out, scale: 1, tape, along: vector(q))
        if let other { model.gradientDot(out, scale: -1, other, along: vector(q)) }
        for i in 0..<n { out[i, 0] *= root[i, 0] }
    }

    /// `out += Sᵀ a`; `a` is used up.
    private func expand(_ a: Matrix<Double>, into out: UnsafeMutablePointer<Double>) {
        for i in 0..<n { a[i, 0] *= root[i, 0] }
        model.gradient(dParameters: vector(out), scale: a, tape: tape)
        guard let other else { return }
        for i in 0..<n { a[i, 0].negate() }
        model.gradient(dParameters: vector(out), scale: a, tape: other)
    }

    /// `image ← (H + δ I) q`
    func product(
        _ q: UnsafePointer<Double>, damping: Double, into image: UnsafeMutablePointer<Double>
    ) {
        for j in 0..<p { image[j] = damping * q[j] }
        project(q, into: scratch)
        expand(scratch, into: image)
    }

    /// `x ← (H + δ I)⁻¹ b` through the Gram matrix. The difference in its formula cancels where
    /// `δ` is small, so the residual is solved for until it no longer shrinks; if that leaves more
    /// than a millionth of `b`, the damping is too small for double precision.
    func solveGram(
        _ b: UnsafePointer<Double>, damping: Double, into x: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        let cholesky = try Cholesky(try gram(damping), order: n)
        let residual = try Buffer<Double>(p), trial = try Buffer<Double>(p)
        let image = try Buffer<Double>(p)
        let dot = try Double.kernels().dot
        residual.base.update(from: b, count: p)
        let start = dot(p, b, b)
        var best = start, rounds = 0
        while best > 0, rounds < 6 {
            rounds += 1
            project(residual.base, into: scratch)
            try cholesky.solve(scratch.base)
            for i in 0..<n { scratch[i, 0].negate() }
            for j in 0..<p { trial.base[j] = residual.base[j] }
            expand(scratch, into: trial.base)
            for j in 0..<p { trial.base[j] = x[j] + trial.base[j] / damping }
            product(trial.base, damping: damping, into: image.base)
            for j in 0..<p { residual.base[j] = b[j] - image.base[j] }
            let square = dot(p, residual.base, residual.base)
            guard square < best else { break }
            x.update(from: trial.base, count: p)
            best = square
        }
        let left = start > 0 ? (best / start).squareRoot() : 0
        guard left <= 1e-6 else { throw .noConvergence(iterations: rounds, residual: left) }
    }

    /// `S Sᵀ + δ I`
    private func gram(_ damping: Double) throws(NumericsError) -> Buffer<Double> {
        let buffer = try Buffer<Double>(n, n)
        let gram = Matrix(base: buffer.base, rows: n, columns: n)
        model.gradientGram(gram, scale: 1, tape, tape)
        if let other {
            model.gradientGram(gram, scale: -1, tape, other)
            model.gradientGram(gram, scale: -1, other, tape)
            model.gradientGram(gram, scale: 1, other, other)
        }
        for i in 0..<n {
            for j in 0..<n { gram[i, j] *= root[i, 0] * root[j, 0] }
            gram[i, i] += damping
        }
        return buffer
    }
}
