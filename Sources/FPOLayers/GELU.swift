public import FPONumerics
import Glibc

/// `y = x Φ(x)` with the normal distribution function (Hendrycks and Gimpel, arXiv:1606.08415), or
/// its approximation `½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
public enum GELU: Int32, Sendable {
    case exact = 0
    case tanh = 1

    /// `y` may be `x`.
    public func forward(_ y: Matrix<Float>, x: Matrix<Float>) {
        for i in 0..<x.count { y.base[i] = Float(value(Double(x.base[i])).value) }
    }

    public func backward(dx: Matrix<Float>, dy: Matrix<Float>, x: Matrix<Float>) {
        for i in 0..<x.count { dx.base[i] += dy.base[i] * Float(value(Double(x.base[i])).slope) }
    }

    private func value(_ x: Double) -> (value: Double, slope: Double) {
        switch self {
        case .exact:
            let phi = 0.5 * erfc(-x * 0.5.squareRoot())
            return (x * phi, phi + x * exp(-0.5 * x * x) / (2 * Double.pi).squareRoot())
        case .tanh:
            let root = (2 / Double.pi).squareRoot()
            let t = Glibc.tanh(root * (x + 0.044715 * x * x * x))
            let slope = root * (1 + 3 * 0.044715 * x * x)
            return (0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
        }
    }
}
