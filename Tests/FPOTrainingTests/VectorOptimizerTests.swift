import FPOModels
import FPONumerics
import FPOTestSupport
import FPOTraining
import Testing

@Suite struct VectorOptimizerTests {
    /// An adapter with more than one block of parameters.
    private func adapter() throws -> LoRAAdapter {
        let configuration = LlamaConfiguration(
            vocabulary: 4, hidden: 64, intermediate: 64, layers: 8, heads: 1, keyValueHeads: 1,
            headDimension: 64, context: 4, tied: true, storage: .float32)
        var lora = LoRAConfiguration()
        lora.targets = .all
        let adapter = try LoRAAdapter(LlamaModel(configuration), lora)
        for i in 0..<adapter.count {
            adapter.parameters.base[i] = Float(i % 7) / 4
            adapter.gradient.base[i] = Float(i % 11) - 5
        }
        return adapter
    }

    private func elements(_ matrix: Matrix<Float>) -> [Float] {
        Array(UnsafeBufferPointer(start: matrix.base, count: matrix.count))
    }

    @Test func itIsTheRuleOnAllParameters() throws {
        let adapter = try adapter()
        #expect(adapter.count > 1 << 16)
        var rule = Adam<Float>()
        rule.decay = .decoupled
        rule.weightDecay = 0.1
        let plain = try Buffer<Float>(adapter.count), moments = try Buffer<Float>(2, adapter.count)
        plain.base.update(from: adapter.parameters.base, count: adapter.count)
        let optimizer = VectorOptimizer(count: adapter.count)
        for step in 1...3 {
            rule.step(
                step, parameters: Matrix(base: plain.base, rows: 1, columns: adapter.count),
                gradient: adapter.gradient,
                moments: Matrix(base: moments.base, rows: 2, columns: adapter.count))
            try optimizer.step(
                rule, parameters: adapter.parameters, gradient: adapter.gradient)
        }
        #expect(optimizer.steps == 3)
        #expect(
            elements(adapter.parameters)
                == elements(Matrix(base: plain.base, rows: 1, columns: adapter.count)))
    }

    @Test func restoredItGoesOnBitForBit() throws {
        let adapter = try adapter(), other = try self.adapter()
        let rule = Adam<Float>()
        let optimizer = VectorOptimizer(count: adapter.count)
        #expect(optimizer.moments.isEmpty)
        try optimizer.step(
            rule, parameters: adapter.parameters, gradient: adapter.gradient)
        let copy = VectorOptimizer(count: adapter.count)
        try copy.restore(
            steps: optimizer.steps, momentCount: 2, moments: optimizer.moments.baseAddress!)
        other.parameters.base.update(from: adapter.parameters.base, count: adapter.count)
        try optimizer.step(
            rule, parameters: adapter.parameters, gradient: adapter.gradient)
        try copy.step(
            rule, parameters: other.parameters, gradient: other.gradient)
        #expect(elements(adapter.parameters) == elements(other.parameters))
        #expect(copy.steps == 2)
    }
}
