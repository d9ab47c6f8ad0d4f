public import FPONumerics

/// One tensor inside a flat vector, under its checkpoint's name.
public struct Tensor: Sendable, Equatable {
    public let name: String
    /// As in torch, `(out, in)`; a bias has one column.
    public let rows, columns: Int
    /// Of the first element, in elements.
    public let offset: Int

    public var count: Int { rows * columns }

    /// The tensor as a view of the vector (or of a gradient or direction of the same length).
    func view<S>(_ vector: Matrix<S>) -> Matrix<S> {
        Matrix(base: vector.base + offset, rows: rows, columns: columns)
    }
}

/// Which tensors a flat parameter vector consists of, in order and without gaps.
public struct ParameterLayout: Sendable, Equatable {
    /// 512 MiB of `Double`: far above any reward model that this library trains.
    public static let maximumCount = 1 << 26

    public private(set) var tensors: [Tensor] = []
    public private(set) var count = 0

    public init() {}

    /// Appends a tensor, and returns it with its offset. The sizes are at least 1.
    @discardableResult
    mutating func append(
        _ name: String, _ rows: Int, _ columns: Int
    ) throws(NumericsError) -> Tensor {
        precondition(rows >= 1 && columns >= 1, "\(name): (\(rows), \(columns))")
        let (size, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, size <= Self.maximumCount - count else {
            throw .memory(bytes: .max)
        }
        let tensor = Tensor(name: name, rows: rows, columns: columns, offset: count)
        tensors.append(tensor)
        count += size
        return tensor
    }
}

/// A flat vector of parameters, and the layout that gives it meaning. It starts at zero.
///
/// Gradients, directions and an optimiser's moments are vectors of the same length. What is
/// trainable is which store, never a flag.
public struct ParameterStore<S: Scalar>: ~Copyable {
    public let layout: ParameterLayout
    /// The whole vector, `(1, p)`.
    public let values: Matrix<S>
    private let memory: Buffer<S>

    public init(_ layout: ParameterLayout) throws(NumericsError) {
        memory = try Buffer(layout.count)
        values = Matrix(base: memory.base, rows: 1, columns: layout.count)
        self.layout = layout
    }

    /// Weights become `scale` times standard normal draws, biases zero. `draw` fills a vector of the
    /// store's length: element `i` takes draw `i`, and the draws of biases are left unused.
    public func initialize(
        scale: S, draw: (_ count: Int, _ out: UnsafeMutablePointer<S>) -> Void
    ) {
        draw(values.count, values.base)
        for tensor in layout.tensors {
            let view = tensor.view(values)
            let factor = tensor.name.hasSuffix("bias") ? 0 : scale
            for i in 0..<view.count { view.base[i] *= factor }
        }
    }
}
