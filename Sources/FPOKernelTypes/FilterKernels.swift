/// What a utility filter takes for granted. Its derivation: docs/math/utility-filter.md.
public struct UtilityFilterSettings: Sendable {
    /// Whether a curvature is estimated beside level and slope.
    public var estimatesCurvature = true
    /// `A > 0`, the prior standard deviation of utility, and the length `ℓ > 0` over which utility
    /// varies by as much.
    public var utilityScale = 10.0, lengthScale = 2.0
    /// The first guess of `s > 0`, the standard deviation of a label's noise.
    public var noiseScale = 1.0
    /// `ρ` in [0, 1], the weight of a label in the estimate of `s²`; 0 holds it fixed.
    public var noiseMemory = 0.2

    public init() {}
}

/// The kernels of one CPU level for a utility filter outside any game, in double precision. They
/// are those of the games: the filter's numbers stand in all lanes alike.
///
/// A filter of `d >= 1` dimensions lives in `memoryVectors(d)` vectors of `lanes` doubles on a
/// 64-byte boundary. Its state comes first, one number a vector:
///
///     m (d)   a   b (d)   q   P (d + 2, d + 2)   s²
public struct FilterKernels: Sendable {
    public let lanes: Int
    public let stateVectors, memoryVectors: @Sendable (_ d: Int) -> Int
    /// The prior at a reference (d), with a level and a slope (d) that is 0 if `nil`.
    public let begin: Begin
    /// Moves the reference (d).
    public let move: Move
    /// Takes in `n` labels, one after the other.
    public let observe: Observe
    /// The estimate (n), and its slope (n, d) unless `nil`.
    public let estimate: Estimate

    public typealias Memory = UnsafeMutablePointer<Double>
    public typealias Begin =
        @Sendable (
            UtilityFilterSettings, Memory, _ d: Int, _ reference: UnsafePointer<Double>,
            _ level: Double, _ slope: UnsafePointer<Double>?
        ) -> Void
    public typealias Move =
        @Sendable (
            UtilityFilterSettings, Memory, _ d: Int, _ reference: UnsafePointer<Double>
        ) -> Void
    public typealias Observe =
        @Sendable (
            UtilityFilterSettings, Memory, _ d: Int, _ n: Int, _ x: UnsafePointer<Double>,
            _ ldx: Int, _ label: UnsafePointer<Double>
        ) -> Void
    public typealias Estimate =
        @Sendable (
            Memory, _ d: Int, _ n: Int, _ x: UnsafePointer<Double>, _ ldx: Int,
            _ utility: UnsafeMutablePointer<Double>, _ slope: UnsafeMutablePointer<Double>?,
            _ lds: Int
        ) -> Void

    public init(
        lanes: Int, stateVectors: @escaping @Sendable (Int) -> Int,
        memoryVectors: @escaping @Sendable (Int) -> Int, begin: @escaping Begin,
        move: @escaping Move, observe: @escaping Observe, estimate: @escaping Estimate
    ) {
        self.lanes = lanes
        self.stateVectors = stateVectors
        self.memoryVectors = memoryVectors
        self.begin = begin
        self.move = move
        self.observe = observe
        self.estimate = estimate
    }
}
