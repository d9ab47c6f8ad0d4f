public import FPOKernelTypes
public import FPONumerics

/// Utility estimated from labels around a reference that follows the policy: the residual penalty's
/// `Û` for reward models and policies that are not ours.
///
///     Û(y) = a + bᵀδ + ½ min(q, 0) ‖δ‖²,   δ = y − m
///
/// `a`, `b` and `q` by a Kalman filter, the one of the simulated games; derivation in
/// docs/math/utility-filter.md. One thread at a time may be inside.
public final class UtilityFilter: @unchecked Sendable {
    public let dimension: Int
    private let settings: UtilityFilterSettings
    private let kernels: FilterKernels
    /// The filter, and what it was before the change under way.
    private let memory: Buffer<Double>
    private let count: Int

    /// `dimension >= 1`; a missing slope (d) is 0.
    public init(
        _ settings: UtilityFilterSettings, dimension d: Int, reference: UnsafePointer<Double>,
        level: Double, slope: UnsafePointer<Double>?
    ) throws(NumericsError) {
        guard let kernels = CPU.filters else { throw .processor }
        // The covariance has (d + 2)² vectors; no machine has memory for more.
        guard d <= 1 << 20 else { throw .memory(bytes: .max) }
        self.kernels = kernels
        self.settings = settings
        dimension = d
        count = kernels.memoryVectors(d) * kernels.lanes
        memory = try Buffer(2, count)
        try change { kernels.begin(settings, $0, d, reference, level, slope) }
    }

    /// Moves the reference: what is known fades as far as it moves.
    public func move(to reference: UnsafePointer<Double>) throws(NumericsError) {
        try change { kernels.move(settings, $0, dimension, reference) }
    }

    /// Takes in labels of actions `x`, one after the other.
    public func observe(
        _ x: Rows<Double>, label: UnsafePointer<Double>
    ) throws(NumericsError) {
        try change {
            kernels.observe(settings, $0, dimension, x.count, x.base, x.leadingDimension, label)
        }
    }

    /// `Û` of the rows of `x`, and `∂Û/∂y` (n, d) unless `slope` is `nil`.
    public func estimate(
        _ x: Rows<Double>, into utility: UnsafeMutablePointer<Double>,
        slope: UnsafeMutablePointer<Double>?, leadingDimension: Int
    ) {
        kernels.estimate(
            memory.base, dimension, x.count, x.base, x.leadingDimension, utility, slope,
            leadingDimension)
    }

    // MARK: State

    /// `a`, `q` and `s`.
    public var level: Double { number(dimension) }
    public var curvature: Double { number(2 * dimension + 1) }
    public var noise: Double { number(stateCount - 1).squareRoot() }
    /// `bᵢ`.
    public func slope(_ i: Int) -> Double { number(dimension + 1 + i) }
    /// `Pᵢⱼ`, in the order a, b (d), q.
    public func covariance(_ i: Int, _ j: Int) -> Double {
        number(2 * dimension + 2 + i * (dimension + 2) + j)
    }

    private var stateCount: Int { kernels.stateVectors(dimension) }

    /// Number `i` of the state, the same in all lanes.
    private func number(_ i: Int) -> Double { memory.base[i * kernels.lanes] }

    /// Undoes a change whose result is beyond double precision: the filter would not recover.
    private func change(
        _ body: (UnsafeMutablePointer<Double>) -> Void
    ) throws(NumericsError) {
        let former = memory.base + count
        former.update(from: memory.base, count: count)
        body(memory.base)
        guard (0..<stateCount).allSatisfy({ number($0).isFinite }) else {
            memory.base.update(from: former, count: count)
            throw .overflow
        }
    }
}
