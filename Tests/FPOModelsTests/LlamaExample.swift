import FPOModels
import FPONumerics
import FPOTestSupport

/// A tiny decoder with the weights of Tests/Golden/language_models.py.
struct LlamaExample {
    /// Llama with Llama 3's rotation, heads wider than `hidden / heads`, and its own head.
    static func llama3(_ storage: PackedMatrix.Storage = .float32) -> LlamaConfiguration {
        LlamaConfiguration(
            vocabulary: 29, hidden: 16, intermediate: 20, layers: 2, heads: 4, keyValueHeads: 2,
            headDimension: 6, context: 32, rotaryBase: 100,
            rotaryScaling: .llama3(factor: 4, low: 1, high: 3, originalLength: 16),
            storage: storage)
    }

    /// Qwen2: biases, a tied head, positions divided by 2.
    static let qwen2 = LlamaConfiguration(
        vocabulary: 29, hidden: 16, intermediate: 20, layers: 2, heads: 4, keyValueHeads: 2,
        headDimension: 4, context: 32, tied: true, biased: true, rotaryBase: 100,
        rotaryScaling: .linear(factor: 2), storage: .float32)

    let model: LlamaModel

    init(_ configuration: LlamaConfiguration) throws {
        model = try LlamaModel(configuration)
        for (k, tensor) in model.tensors.enumerated() {
            let values = Samples<Float>(tensor.rows, tensor.columns) { i, j in
                Self.weight(tensor, k, i, j)
            }
            model.load(k, first: 0, values.rows)
        }
        model.finish()
    }

    static func weight(_ tensor: Tensor, _ k: Int, _ i: Int, _ j: Int) -> Float {
        let step = (7 * i + 3 * j + 5 * k + i * j) % 23 - 11
        return Float(step) / 32 + (tensor.name.contains("norm") ? 1 : 0)
    }

    /// An adapter of all projections with rank 2 and scale 3/2.
    func adapter(
        _ edit: (inout LoRAConfiguration) -> Void = { _ in }
    ) throws -> LoRAAdapter {
        var c = LoRAConfiguration()
        c.rank = 2
        c.alpha = 3
        c.targets = .all
        edit(&c)
        let adapter = try LoRAAdapter(model, c)
        for i in 0..<adapter.count {
            adapter.parameters.base[i] = Float((13 * i) % 17 - 8) / 32
        }
        return adapter
    }
}

/// Sequences as a ragged batch whose memory is never freed.
struct Sequences: @unchecked Sendable {
    let batch: TokenBatch
    let count: Int

    init(_ sequences: [[Int32]]) {
        let tokens = sequences.flatMap { $0 }
        let base = UnsafeMutablePointer<Int32>.allocate(capacity: max(tokens.count, 1))
        for (i, token) in tokens.enumerated() { base[i] = token }
        let offsets = UnsafeMutablePointer<Int64>.allocate(capacity: sequences.count + 1)
        offsets[0] = 0
        for (i, sequence) in sequences.enumerated() {
            offsets[i + 1] = offsets[i] + Int64(sequence.count)
        }
        batch = TokenBatch(count: sequences.count, offsets: offsets, tokens: base)
        count = tokens.count
    }

    static let golden = Sequences([[3, 1, 4, 1, 5, 9, 2, 6], [27, 18, 28], [5]])
    /// With empty ones.
    static let ragged = Sequences([
        [], [3, 1, 4, 1, 5], [], [9, 2], [7], [6, 5, 3, 5, 8, 9, 7], [],
    ])
}

/// Of the batch's tokens: `(t mod 5 − 2) / 4`.
func coefficients(_ count: Int) -> [Double] { (0..<count).map { Double($0 % 5 - 2) / 4 } }

extension LlamaModel {
    func logProbabilities(_ sequences: Sequences, adapter: LoRAAdapter? = nil) throws -> [Double] {
        var out = [Double](repeating: 0, count: sequences.count)
        try score(sequences.batch, adapter: adapter, logP: &out, entropy: nil, greedy: nil)
        return out
    }
}

extension LoRAAdapter {
    var gradientElements: [Float] { Array(UnsafeBufferPointer(start: gradient.base, count: count)) }

    /// Log-probabilities, and the gradient of `Σ cₜ log pₜ`, in two phases.
    func twoPhases(_ sequences: Sequences, key: UInt64 = 0) throws -> ([Double], [Float]) {
        gradient.fill(0)
        var logP = [Double](repeating: 0, count: sequences.count)
        try forward(
            sequences.batch, dropoutKey: RandomKey(value: key), logP: &logP, entropy: nil
        ) { _ in true }
        try backward(coefficients(sequences.count))
        return (logP, gradientElements)
    }

    /// The same by the fused loss.
    func fused(_ sequences: Sequences, key: UInt64 = 0) throws -> ([Double], [Float], Double) {
        gradient.fill(0)
        var logP = [Double](repeating: 0, count: sequences.count)
        let loss = try loss(
            sequences.batch, weights: coefficients(sequences.count).map { -$0 },
            dropoutKey: RandomKey(value: key), logP: &logP)
        return (logP, gradientElements, loss)
    }
}
