/// The kernels of one element type at one CPU level. A table is built by each kernel module, and
/// `FPONumerics` picks one when the library loads.
///
/// Kernels see pointers and sizes only: whoever calls one has checked the arguments.
public struct KernelTable<Element: Sendable>: Sendable {
    public typealias Input = UnsafePointer<Element>
    public typealias Output = UnsafeMutablePointer<Element>
    public typealias Map = @Sendable (_ n: Int, _ x: Input, _ y: Output) -> Void
    public typealias Stream = @Sendable (_ key: UInt64, _ n: Int, _ out: Output) -> Void

    /// Elements in one vector of this level: 8 or 16 floats, 4 or 8 doubles.
    public let lanes: Int

    /// Elementwise functions; `x == y` is allowed. Largest errors found, in units in the last place
    /// and in either precision: exp 1.1, log 0.9, tanh 2.6, sigmoid 3.7, softplus 4.4.
    public let exp, log, tanh, sigmoid, softplus: Map

    /// `Σᵢ aᵢ bᵢ`, `Σᵢ (aᵢ − cᵢ) bᵢ` and `Σᵢ (aᵢ − cᵢ)²`, summed in double in a fixed order that
    /// is the same at every level.
    public let dot: @Sendable (_ n: Int, _ a: Input, _ b: Input) -> Double
    public let differenceDot: @Sendable (_ n: Int, _ a: Input, _ c: Input, _ b: Input) -> Double
    public let squaredDistance: @Sendable (_ n: Int, _ a: Input, _ c: Input) -> Double

    /// The first `n` draws of a key's stream.
    public let uniform, normal: Stream

    public init(
        lanes: Int, exp: @escaping Map, log: @escaping Map, tanh: @escaping Map,
        sigmoid: @escaping Map, softplus: @escaping Map,
        dot: @escaping @Sendable (Int, Input, Input) -> Double,
        differenceDot: @escaping @Sendable (Int, Input, Input, Input) -> Double,
        squaredDistance: @escaping @Sendable (Int, Input, Input) -> Double,
        uniform: @escaping Stream, normal: @escaping Stream
    ) {
        self.lanes = lanes
        self.exp = exp
        self.log = log
        self.tanh = tanh
        self.sigmoid = sigmoid
        self.softplus = softplus
        self.dot = dot
        self.differenceDot = differenceDot
        self.squaredDistance = squaredDistance
        self.uniform = uniform
        self.normal = normal
    }
}
