/// Solves `A x = b` for a symmetric positive definite `A` that is known by its products alone.
///
/// Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952. From
/// `x = 0`, until `‖b − A x‖ ≤ tolerance ‖b‖`. The residual of the recurrence drifts from the true
/// one, so the true one decides, and the iteration starts again from it where they disagree.
///
/// - Parameters:
///   - x: `n` elements; holds the solution, or nothing meaningful when this throws.
///   - product: writes `A` times its first argument to its second.
/// - Returns: how many iterations were made.
@discardableResult
public func conjugateGradient(
    order n: Int, rightHandSide b: UnsafePointer<Double>, tolerance: Double,
    maximumIterations: Int, into x: UnsafeMutablePointer<Double>,
    product: (UnsafePointer<Double>, UnsafeMutablePointer<Double>) -> Void
) throws(NumericsError) -> Int {
    let dot = try Double.kernels().dot
    let residual = try Buffer<Double>(n), r = residual.base
    let direction = try Buffer<Double>(n), p = direction.base
    let image = try Buffer<Double>(n), q = image.base
    x.update(repeating: 0, count: n)
    r.update(from: b, count: n)
    p.update(from: b, count: n)
    let norm = dot(n, b, b).squareRoot()
    guard norm > 0 else { return 0 }
    var square = dot(n, r, r)
    for iteration in 0... {
        if square.squareRoot() <= tolerance * norm {
            product(x, q)
            for i in 0..<n { r[i] = b[i] - q[i] }
            square = dot(n, r, r)
            if square.squareRoot() <= tolerance * norm { return iteration }
            p.update(from: r, count: n)
        }
        guard iteration < maximumIterations else {
            throw .noConvergence(iterations: iteration, residual: square.squareRoot() / norm)
        }
        product(p, q)
        let curvature = dot(n, p, q)
        guard curvature > 0, curvature.isFinite else { throw .notPositiveDefinite }
        let step = square / curvature
        for i in 0..<n {
            x[i] += step * p[i]
            r[i] -= step * q[i]
        }
        let next = dot(n, r, r)
        let correction = next / square
        for i in 0..<n { p[i] = r[i] + correction * p[i] }
        square = next
    }
    return maximumIterations
}

/// The same for a matrix of which all elements are given. Nothing is written to `x` when this
/// throws.
public func conjugateGradient(
    _ a: Rows<Double>, rightHandSide b: UnsafePointer<Double>, tolerance: Double,
    maximumIterations: Int, into x: UnsafeMutablePointer<Double>
) throws(NumericsError) -> Int {
    let n = a.count
    let dot = try Double.kernels().dot
    let solution = try Buffer<Double>(n)
    let iterations = try conjugateGradient(
        order: n, rightHandSide: b, tolerance: tolerance, maximumIterations: maximumIterations,
        into: solution.base
    ) { vector, image in
        ThreadPool.shared.run(items: n, cost: n) { rows in
            for i in rows { image[i] = dot(n, a[i], vector) }
        }
    }
    x.update(from: solution.base, count: n)
    return iterations
}
