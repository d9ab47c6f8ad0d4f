public import FPONumerics

/// `y = x Φ(x)` with the normal distribution function (Hendrycks and Gimpel, arXiv:1606.08415), or
/// its approximation `½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
public enum GELU: Int32, Sendable {
    case exact = 0
    case tanh = 1

    /// `y` may be `x`.
    public func forward(_ y: Matrix<Float>, x: Matrix<Float>) {
        check(y, like: x)
        let kernel = transformerKernels.layers.gelu
        ThreadPool.shared.run(items: x.count, cost: 4) { range in
            kernel(
                self == .exact, range.count, x.base + range.lowerBound, y.base + range.lowerBound)
        }
    }

    /// `dx += dy y′`
    public func backward(dx: Matrix<Float>, dy: Matrix<Float>, x: Matrix<Float>) {
        check(dx, like: x)
        check(dy, like: x)
        let kernel = transformerKernels.layers.geluBackward
        ThreadPool.shared.run(items: x.count, cost: 6) { range in
            let first = range.lowerBound
            kernel(
                self == .exact, range.count, x.base + first, dy.base + first, dx.base + first)
        }
    }
}
