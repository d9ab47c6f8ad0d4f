public import FPONumerics
import Synchronization

/// The weights of a bidirectional encoder, frozen.
///
/// Tensors are loaded by checkpoint name; after ``finish()`` nothing changes, any thread may read,
/// and any number of ``TextReward``s share them. The weights of linear maps are packed; vectors and
/// embeddings stay in single precision.
public final class TextEncoder: @unchecked Sendable {
    public let configuration: EncoderConfiguration
    /// Under their checkpoint names; offsets are 0.
    public var tensors: [Tensor] { architecture.tensors }

    let architecture: EncoderArchitecture
    private let places: [Place]
    private let memory: Buffer<Float>
    private let finished = Atomic<Bool>(false)
    /// For each tensor which rows are there, and how many are not.
    private var loaded: [[Bool]]
    private var absent: [Int]

    private enum Place {
        case plain(UnsafeMutablePointer<Float>)
        case packed(PackedMatrix)
    }

    /// Room for the weights, all absent.
    public init(
        _ configuration: EncoderConfiguration, storage: PackedMatrix.Storage = .float32
    ) throws(NumericsError) {
        self.configuration = configuration
        architecture = EncoderArchitecture(configuration)
        let tensors = architecture.tensors
        memory = try Buffer(
            zip(tensors, architecture.areWeights).reduce(0) {
                $1.1 ? $0 : elements((1, $0), ($1.0.rows, $1.0.columns))
            })
        var next = memory.base
        var places: [Place] = []
        for (tensor, isWeight) in zip(tensors, architecture.areWeights) {
            if isWeight {
                let matrix = try PackedMatrix(
                    rows: tensor.rows, columns: tensor.columns, storage: storage)
                places.append(.packed(matrix))
            } else {
                places.append(.plain(next))
                next += tensor.count
            }
        }
        self.places = places
        loaded = tensors.map { [Bool](repeating: false, count: $0.rows) }
        absent = tensors.map(\.rows)
    }

    /// Stores rows of tensor `index`, from row `first` on.
    public func load(_ index: Int, first: Int, _ source: Rows<Float>) {
        let tensor = tensors[index]
        precondition(
            !isFinished && source.columns == tensor.columns && first >= 0
                && first + source.count <= tensor.rows,
            "\(tensor.name): (\(source.count), \(source.columns)) at row \(first)")
        switch places[index] {
        case .plain(let base):
            for i in 0..<source.count {
                (base + (first + i) * tensor.columns).update(
                    from: source[i], count: tensor.columns)
            }
        case .packed(let matrix):
            matrix.pack(firstRow: first, source)
        }
        for row in first..<first + source.count where !loaded[index][row] {
            loaded[index][row] = true
            absent[index] -= 1
        }
    }

    /// Tensors with rows that have not been loaded.
    public var missing: [Tensor] {
        tensors.indices.filter { absent[$0] > 0 }.map { tensors[$0] }
    }

    /// Ends loading, if nothing is missing.
    public func finish() {
        precondition(missing.isEmpty, "\(missing.count) tensors are missing")
        finished.store(true, ordering: .releasing)
    }

    public var isFinished: Bool { finished.load(ordering: .acquiring) }

    /// Bytes that the weights take.
    public var byteCount: Int {
        places.reduce(memory.count * MemoryLayout<Float>.stride) {
            if case .packed(let matrix) = $1 { $0 + matrix.byteCount } else { $0 }
        }
    }

    func packed(_ index: Int) -> PackedMatrix {
        guard case .packed(let matrix) = places[index] else {
            preconditionFailure("\(tensors[index].name) is not a linear map")
        }
        return matrix
    }

    func plain(_ index: Int) -> UnsafeMutablePointer<Float> {
        guard case .plain(let base) = places[index] else {
            preconditionFailure("\(tensors[index].name) is packed")
        }
        return base
    }

    /// `out ←` the values of tensor `index`, in row-major order.
    func copy(_ index: Int, to out: UnsafeMutablePointer<Float>) {
        let tensor = tensors[index]
        switch places[index] {
        case .plain(let base): out.update(from: base, count: tensor.count)
        case .packed(let matrix):
            for row in 0..<tensor.rows { matrix.unpack(row: row, to: out + row * tensor.columns) }
        }
    }
}
