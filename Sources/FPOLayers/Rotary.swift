public import FPONumerics
import Glibc

/// Rotary position embedding (Su et al., arXiv:2104.09864) in the layout of Transformers' Llama:
/// of each head, element `i` turns with element `i + D/2`, by `position · frequencyᵢ`.
public struct RotaryTable: ~Copyable, Sendable {
    public enum Scaling: Sendable, Equatable {
        case none
        /// Positions divided by `factor`.
        case linear(factor: Double)
        /// Llama 3.1: wavelengths above `originalLength / low` are stretched by `factor`, those
        /// below `originalLength / high` stay, with a ramp between.
        case llama3(factor: Double, low: Double, high: Double, originalLength: Int)
    }

    public let headDimension, positions: Int
    /// For each position `D/2` cosines, then `D/2` sines.
    private let angles: Buffer<Float>

    /// `frequencyᵢ = base^(−2 i / D)`, scaled; computed in double.
    public init(
        headDimension: Int, positions: Int, base: Double, scaling: Scaling = .none
    ) throws(NumericsError) {
        precondition(headDimension % 2 == 0, "Rotary: head dimension \(headDimension)")
        self.headDimension = headDimension
        self.positions = positions
        angles = try Buffer(positions, headDimension)
        let half = headDimension / 2
        for i in 0..<half {
            let frequency = Self.frequency(i, headDimension, base, scaling)
            for p in 0..<positions {
                angles.base[p * headDimension + i] = Float(cos(Double(p) * frequency))
                angles.base[p * headDimension + half + i] = Float(sin(Double(p) * frequency))
            }
        }
    }

    private static func frequency(
        _ i: Int, _ dimension: Int, _ base: Double, _ scaling: Scaling
    ) -> Double {
        let plain = pow(base, -2 * Double(i) / Double(dimension))
        switch scaling {
        case .none: return plain
        case .linear(let factor): return plain / factor
        case .llama3(let factor, let low, let high, let length):
            let turns = Double(length) * plain / (2 * .pi)
            if turns < low { return plain / factor }
            if turns > high { return plain }
            let ramp = (turns - low) / (high - low)
            return (1 - ramp) * plain / factor + ramp * plain
        }
    }

    /// Turns each head of each row of `x (m, heads · D)` in place; row `i` is at position
    /// `positions[i]`. `inverse` turns back: the gradient of turning.
    public func apply(
        _ x: some RowMajor, positions: UnsafePointer<Int32>, inverse: Bool = false
    ) {
        let D = headDimension, half = D / 2, rotate = transformerKernels.layers.rotate
        precondition(x.columns % D == 0, "Rotary: \(x.columns) columns of heads of \(D)")
        let heads = x.columns / D
        let (base, ld, angles) = (x.base, x.leadingDimension, UnsafePointer(self.angles.base))
        for r in 0..<x.rows {
            precondition(
                positions[r] >= 0 && positions[r] < self.positions,
                "Rotary: position \(positions[r]) of \(self.positions)")
        }
        ThreadPool.shared.run(items: x.rows, cost: x.columns) { rows in
            for r in rows {
                let table = angles + Int(positions[r]) * D
                for h in 0..<heads { rotate(half, inverse ? -1 : 1, table, base + r * ld + h * D) }
            }
        }
    }
}
