import FPONumerics
import Glibc

extension Double {
    static func log(_ x: Double) -> Double { Glibc.log(x) }
    /// `eˣ − 1`, without cancellation near 0.
    static func expMinusOne(_ x: Double) -> Double { Glibc.expm1(x) }
    /// `log σ(x)`
    static func logSigmoid(_ x: Double) -> Double { -softplus(-x) }
    /// `log(1 − eˣ)` for `x < 0`, accurate at both ends: Mächler, 2012.
    static func logOneMinusExp(_ x: Double) -> Double {
        x > -0.6931471805599453 ? log(-expMinusOne(x)) : log(onePlus: -exp(x))
    }
}
