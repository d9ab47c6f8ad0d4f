public import FPONumerics

/// A trainable low-rank addition to a frozen ``LlamaModel``: one flat vector of parameters and its
/// gradient. One thread at a time.
public final class LoRAAdapter: @unchecked Sendable {
    public let model: LlamaModel
    public let configuration: LoRAConfiguration
    let layout: LoRALayout
    private let values, derivatives: Buffer<Float>

    var workspace = Workspace(), headWorkspace = Workspace()
    /// What ``forward`` keeps for ``backward``.
    var pending: Pending?
    /// Whether ``backward(_:)`` may come.
    public internal(set) var isPending = false
    /// Tokens of the batch that ``backward(_:)`` goes through.
    public internal(set) var pendingTokens = 0

    /// All parameters are zero.
    public init(
        _ model: LlamaModel, _ configuration: LoRAConfiguration
    ) throws(NumericsError) {
        self.model = model
        self.configuration = configuration
        layout = try LoRALayout(configuration, for: model.configuration)
        values = try Buffer(layout.parameters.count)
        derivatives = try Buffer(layout.parameters.count)
    }

    public var count: Int { layout.parameters.count }
    public var tensors: [Tensor] { layout.parameters.tensors }

    /// `(1, p)`. Whoever changes them calls ``invalidate()``.
    public var parameters: Matrix<Float> {
        Matrix(base: values.base, rows: 1, columns: count)
    }
    /// `(1, p)`: training adds to it.
    public var gradient: Matrix<Float> {
        Matrix(base: derivatives.base, rows: 1, columns: count)
    }

    /// Ends the life of a forward pass that waits for its backward pass.
    public func invalidate() {
        pending = nil
        isPending = false
    }

    /// `A` uniform on `±1/√inputs` (Kaiming with a = √5, as PEFT has it), `B` zero.
    public func initialize(_ key: RandomKey) throws(NumericsError) {
        let uniform = try Float.kernels().uniform
        invalidate()
        for (i, tensor) in tensors.enumerated() {
            let view = tensor.view(parameters)
            guard tensor.name.hasSuffix("lora_A.weight") else {
                view.fill(0)
                continue
            }
            uniform(key.fold(UInt64(i)).value, view.count, view.base)
            let bound = 1 / Float(tensor.columns).squareRoot()
            for j in 0..<view.count { view.base[j] = bound * (2 * view.base[j] - 1) }
        }
    }

    /// The factors as they are now, for as long as the adapter lives.
    var factors: LoRAFactors {
        LoRAFactors(layout: layout, scale: configuration.scale, values: values.base)
    }
}

/// A copy of an adapter's factors, which later training leaves alone.
final class LoRASnapshot: Sendable {
    private let layout: LoRALayout
    private let scale: Float
    private let values: Buffer<Float>

    init(_ adapter: LoRAAdapter) throws(NumericsError) {
        layout = adapter.layout
        scale = adapter.configuration.scale
        values = try Buffer(adapter.count)
        values.base.update(from: adapter.parameters.base, count: adapter.count)
    }

    var factors: LoRAFactors { LoRAFactors(layout: layout, scale: scale, values: values.base) }
}
