import FPOLayers
import FPONumerics

/// Keys and values of one sequence (or of a beginning that several share) in every layer.
final class KeyValueCache: @unchecked Sendable {
    let blocks: [KeyValueBlock]
    private(set) var count = 0
    private let memory: Buffer<Float>

    /// Room for `capacity` tokens.
    init(_ c: LlamaConfiguration, capacity: Int) throws(NumericsError) {
        let size = KeyValueBlock.elements(
            tokens: capacity, keyValueHeads: c.keyValueHeads, headDimension: c.headDimension)
        let memory = try Buffer<Float>(c.layers, size)
        let base = memory.base
        self.memory = memory
        blocks = (0..<c.layers).map { layer in
            KeyValueBlock(
                base: base + layer * size, tokens: capacity, keyValueHeads: c.keyValueHeads,
                headDimension: c.headDimension)
        }
    }

    /// Appends rows of `qkv` to a layer; ``advance(_:)`` counts them after the last layer.
    func write(_ layer: Int, _ c: LlamaConfiguration, _ qkv: Matrix<Float>) {
        blocks[layer].write(at: count, k: c.k(qkv), v: c.v(qkv))
    }

    func advance(_ tokens: Int) { count += tokens }

    /// Forgets everything.
    func clear() {
        count = 0
        memory.base.update(repeating: 0, count: memory.count)
    }
}
