import FPOLayers
import FPONumerics

/// The elementwise functions of encoders and their heads.
public enum Activation: Int32, Sendable {
    case gelu, geluTanh, tanh, relu

    /// `y ← f(x)`; `y` may be `x`.
    func forward(_ y: Matrix<Float>, x: Matrix<Float>) throws(NumericsError) {
        switch self {
        case .gelu: GELU.exact.forward(y, x: x)
        case .geluTanh: GELU.tanh.forward(y, x: x)
        case .tanh:
            let tanh = try Float.kernels().tanh
            ThreadPool.shared.run(items: x.rows, cost: 8 * x.columns) { rows in
                let start = rows.lowerBound * x.columns
                tanh(rows.count * x.columns, x.base + start, y.base + start)
            }
        case .relu: for i in 0..<x.count { y.base[i] = max(x.base[i], 0) }
        }
    }

    /// `dx += f′(x) dy`, where `y = f(x)`.
    func backward(dx: Matrix<Float>, dy: Matrix<Float>, x: Matrix<Float>, y: Matrix<Float>) {
        switch self {
        case .gelu: GELU.exact.backward(dx: dx, dy: dy, x: x)
        case .geluTanh: GELU.tanh.backward(dx: dx, dy: dy, x: x)
        case .tanh:
            for i in 0..<x.count { dx.base[i] += dy.base[i] * (1 - y.base[i] * y.base[i]) }
        case .relu: for i in 0..<x.count where x.base[i] > 0 { dx.base[i] += dy.base[i] }
        }
    }
}
