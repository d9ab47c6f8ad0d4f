public import FPONumerics

/// The elementwise `y = log(1 + eˣ)`. With `σ` the sigmoid, `y′ = σ` and `y″ = σ (1 − σ)`.
///
/// It has no parameters, so there is no `gradientDot`.
public enum Softplus {
    /// `y ← log(1 + eˣ)`
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func forward<S: Scalar>(_ y: Matrix<S>, x: Matrix<S>) {
        check(y, x)
        for i in 0..<x.count { y.base[i] = softplus(x.base[i]) }
    }

    /// `dx += σ dy`
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func backward<S: Scalar>(dx: Matrix<S>, dy: Matrix<S>, x: Matrix<S>) {
        check(dx, x)
        check(dy, x)
        for i in 0..<x.count { dx.base[i] += sigmoid(x.base[i]) * dy.base[i] }
    }

    /// `ẏ ← σ ẋ`
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func forwardTangent<S: Scalar>(_ yDot: Matrix<S>, xDot: Matrix<S>, x: Matrix<S>) {
        check(yDot, x)
        check(xDot, x)
        for i in 0..<x.count { yDot.base[i] = sigmoid(x.base[i]) * xDot.base[i] }
    }

    /// `dẋ += σ dẏ + σ (1 − σ) ẋ dy`
    @specialized(where S == Float)
    @specialized(where S == Double)
    public static func backwardTangent<S: Scalar>(
        dxDot: Matrix<S>, dyDot: Matrix<S>, xDot: Matrix<S>, dy: Matrix<S>, x: Matrix<S>
    ) {
        check(dxDot, x)
        check(dyDot, x)
        check(xDot, x)
        check(dy, x)
        for i in 0..<x.count {
            let slope = sigmoid(x.base[i])
            dxDot.base[i] += slope * (dyDot.base[i] + (1 - slope) * xDot.base[i] * dy.base[i])
        }
    }

    private static func check<S>(_ view: Matrix<S>, _ x: Matrix<S>) {
        precondition(
            view.rows == x.rows && view.columns == x.columns,
            "Softplus: (\(view.rows), \(view.columns)) beside x (\(x.rows), \(x.columns))")
    }
}
