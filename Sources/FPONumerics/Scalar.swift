import Glibc

/// The element types of the layers and models: `Double` at the boundary and in checks, `Float`
/// where memory matters.
public protocol Scalar: BinaryFloatingPoint, SIMDScalar, Codable, Sendable {
    static func exp(_ x: Self) -> Self
    static func log(onePlus x: Self) -> Self
}

extension Float: Scalar {
    public static func exp(_ x: Float) -> Float { expf(x) }
    public static func log(onePlus x: Float) -> Float { log1pf(x) }
}

extension Double: Scalar {
    public static func exp(_ x: Double) -> Double { Glibc.exp(x) }
    public static func log(onePlus x: Double) -> Double { log1p(x) }
}

/// `log(1 + eˣ)`, without overflow for large `x` or cancellation for small.
@inlinable
public func softplus<S: Scalar>(_ x: S) -> S {
    max(x, 0) + S.log(onePlus: S.exp(-x.magnitude))
}

/// `1 / (1 + e⁻ˣ)`, the derivative of ``softplus(_:)``.
@inlinable
public func sigmoid<S: Scalar>(_ x: S) -> S {
    let e = S.exp(-x.magnitude)
    return (x >= 0 ? 1 : e) / (1 + e)
}
