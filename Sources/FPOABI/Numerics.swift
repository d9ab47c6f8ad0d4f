import CFPO
import FPOKernelTypes
import FPONumerics

@c @implementation
public func fpo_exp_f32(
    _ n: Int, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?
) -> Int32 {
    map(n, x, y, \.exp)
}

@c @implementation
public func fpo_exp_f64(
    _ n: Int, _ x: UnsafePointer<Double>?, _ y: UnsafeMutablePointer<Double>?
) -> Int32 {
    map(n, x, y, \.exp)
}

@c @implementation
public func fpo_log_f32(
    _ n: Int, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?
) -> Int32 {
    map(n, x, y, \.log)
}

@c @implementation
public func fpo_log_f64(
    _ n: Int, _ x: UnsafePointer<Double>?, _ y: UnsafeMutablePointer<Double>?
) -> Int32 {
    map(n, x, y, \.log)
}

@c @implementation
public func fpo_tanh_f32(
    _ n: Int, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?
) -> Int32 {
    map(n, x, y, \.tanh)
}

@c @implementation
public func fpo_tanh_f64(
    _ n: Int, _ x: UnsafePointer<Double>?, _ y: UnsafeMutablePointer<Double>?
) -> Int32 {
    map(n, x, y, \.tanh)
}

@c @implementation
public func fpo_sigmoid_f32(
    _ n: Int, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?
) -> Int32 {
    map(n, x, y, \.sigmoid)
}

@c @implementation
public func fpo_sigmoid_f64(
    _ n: Int, _ x: UnsafePointer<Double>?, _ y: UnsafeMutablePointer<Double>?
) -> Int32 {
    map(n, x, y, \.sigmoid)
}

@c @implementation
public func fpo_softplus_f32(
    _ n: Int, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?
) -> Int32 {
    map(n, x, y, \.softplus)
}

@c @implementation
public func fpo_softplus_f64(
    _ n: Int, _ x: UnsafePointer<Double>?, _ y: UnsafeMutablePointer<Double>?
) -> Int32 {
    map(n, x, y, \.softplus)
}

private func map<Element: KernelElement>(
    _ n: Int, _ x: UnsafePointer<Element>?, _ y: UnsafeMutablePointer<Element>?,
    _ function: (KernelTable<Element>) -> KernelTable<Element>.Map
) -> Int32 {
    boundary { () throws(Failure) in
        let x = try input(x, 1, n, ld: n, "x").base
        let y = try output(y, count: n, "y")
        let kernels = try attempt { () throws(NumericsError) in try Element.kernels() }
        elementwise(function(kernels), count: n, x, y)
    }
}

@c @implementation
public func fpo_cholesky_solve_f64(
    _ n: Int, _ m: Int, _ a: UnsafePointer<Double>?, _ lda: Int, _ b: UnsafePointer<Double>?,
    _ ldb: Int, _ x: UnsafeMutablePointer<Double>?, _ ldx: Int
) -> Int32 {
    boundary { () throws(Failure) in
        let a = try lowerTriangle(a, n, ld: lda)
        let b = try finiteInput(b, n, m, ld: ldb, "b")
        let x = try output(x, n, m, ld: ldx, "x")
        try attempt { () throws(NumericsError) in
            try Cholesky.solve(a, b, into: x, leadingDimension: ldx)
        }
    }
}

@c @implementation
public func fpo_conjugate_gradient_f64(
    _ n: Int, _ a: UnsafePointer<Double>?, _ lda: Int, _ b: UnsafePointer<Double>?,
    _ tolerance: Double, _ maxIterations: Int64, _ x: UnsafeMutablePointer<Double>?,
    _ iterations: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let a = try finiteInput(a, n, n, ld: lda, "a")
        let b = try finiteInput(b, count: n, "b")
        let x = try output(x, count: n, "x")
        try requireIteration(tolerance, maxIterations)
        let made = try attempt { () throws(NumericsError) in
            try conjugateGradient(
                a, rightHandSide: b, tolerance: tolerance, maximumIterations: Int(maxIterations),
                into: x)
        }
        iterations?.pointee = Int64(made)
    }
}

@c @implementation
public func fpo_ridge_f64(
    _ n: Int, _ d: Int, _ x: UnsafePointer<Double>?, _ ldx: Int, _ u: UnsafePointer<Double>?,
    _ kappa: Double, _ coefficients: UnsafeMutablePointer<Double>?,
    _ meanX: UnsafeMutablePointer<Double>?, _ meanU: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        try require(n != 0, FPO_ERR_DOMAIN, "n: 0, but must be at least 1")
        let x = try finiteInput(x, n, d, ld: ldx, "x")
        let u = try finiteInput(u, count: n, "u")
        try requirePositive(kappa, "kappa")
        let coefficients = try output(coefficients, count: d, "coefficients")
        let meanX = try output(meanX, count: d, "mean_x")
        let meanU = try unwrap(meanU, "mean_u")
        let fit = try attempt { () throws(NumericsError) in try Ridge(x, u, kappa: kappa) }
        coefficients.update(from: fit.coefficients.base, count: d)
        meanX.update(from: fit.mean.base, count: d)
        meanU.pointee = fit.meanLabel
    }
}

/// What both iterative solvers are asked for.
func requireIteration(_ tolerance: Double, _ maxIterations: Int64) throws(Failure) {
    try requirePositive(tolerance, "tolerance")
    try require(
        maxIterations >= 0, FPO_ERR_DOMAIN,
        "max_iterations: \(maxIterations), but must be >= 0")
}

/// A symmetric matrix of which the lower triangle is read, and checked.
private func lowerTriangle(
    _ a: UnsafePointer<Double>?, _ n: Int, ld: Int
) throws(Failure) -> Rows<Double> {
    let a = try input(a, n, n, ld: ld, "a")
    for i in 0..<n {
        for j in 0...i where !a[i][j].isFinite {
            throw Failure(FPO_ERR_NONFINITE, "a[\(i), \(j)]: \(a[i][j]), but must be finite")
        }
    }
    return a
}
