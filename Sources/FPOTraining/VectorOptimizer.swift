public import FPONumerics

/// What an optimiser of a flat vector, of an adapter or a text reward, remembers between steps, in
/// single precision: the moments and the number of steps.
public final class VectorOptimizer: @unchecked Sendable {
    /// Parameters whose moments stand together: `(momentCount, block)`, block after block, so that
    /// blocks can be stepped at once.
    private static let block = 1 << 16

    public let count: Int
    public private(set) var steps = 0
    private var memory: Buffer<Float>?
    private var base: UnsafeMutablePointer<Float>?
    /// Moments of all parameters, in the order of the blocks.
    public private(set) var momentCount = 0

    public init(count: Int) { self.count = count }

    /// The moments, `momentCount · count`; empty before the first step.
    public var moments: UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(start: base, count: momentCount * count)
    }

    /// One step of `rule` on `count` parameters. The rule remembers as many vectors at every step.
    public func step(
        _ rule: any Optimizer<Float>, parameters: Matrix<Float>, gradient: Matrix<Float>
    ) throws(NumericsError) {
        precondition(parameters.count == count && gradient.count == count, "\(count) parameters")
        try reserve(rule.momentCount)
        steps += 1
        let parameters = parameters.base, gradient = gradient.base
        let moments = base ?? parameters, rows = momentCount, step = steps, total = count
        ThreadPool.shared.run(tasks: (count + Self.block - 1) / Self.block) { task in
            let first = task * Self.block, size = min(Self.block, total - first)
            rule.step(
                step, parameters: Matrix(base: parameters + first, rows: 1, columns: size),
                gradient: Matrix(base: gradient + first, rows: 1, columns: size),
                moments: Matrix(base: moments + rows * first, rows: rows, columns: size))
        }
    }

    /// Continues from moments and a step count that were saved.
    public func restore(
        steps: Int, momentCount: Int, moments: UnsafePointer<Float>
    ) throws(NumericsError) {
        self.momentCount = 0
        memory = nil
        base = nil
        try reserve(momentCount)
        base?.update(from: moments, count: momentCount * count)
        self.steps = steps
    }

    private func reserve(_ rows: Int) throws(NumericsError) {
        guard rows != momentCount else { return }
        precondition(momentCount == 0, "VectorOptimizer: \(rows) moments after \(momentCount)")
        let new = try Buffer<Float>(rows, count)
        base = new.base
        memory = consume new
        momentCount = rows
    }
}
