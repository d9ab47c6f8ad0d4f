import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct LoRATrainingTests {
    /// Every 53rd parameter's derivative by differences of the reference in double.
    @Test func gradientsAreThoseOfTheReference() throws {
        for configuration in [LlamaExample.llama3(), LlamaExample.qwen2] {
            let example = try LlamaExample(configuration)
            let adapter = try example.adapter()
            let (_, gradient) = try adapter.twoPhases(.ragged)
            var reference = LlamaReference(example)
            var parameters = (0..<adapter.count).map { Double(adapter.parameters.base[$0]) }
            func objective() -> Double {
                reference.adopt(adapter, parameters)
                return reference.objective(.ragged)
            }
            let h = 1e-4
            for i in stride(from: 0, to: adapter.count, by: 53) {
                let centre = parameters[i]
                func value(_ k: Double) -> Double {
                    parameters[i] = centre + k * h
                    defer { parameters[i] = centre }
                    return objective()
                }
                let slope = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * h)
                #expect(abs(Double(gradient[i]) - slope) < 1e-5 * max(1, abs(slope)))
            }
        }
    }

    @Test func theFusedLossIsTheTwoPhases() throws {
        let adapter = try LlamaExample(LlamaExample.llama3()).adapter()
        let (logP, gradient) = try adapter.twoPhases(.ragged)
        let (sameLogP, sameGradient, loss) = try adapter.fused(.ragged)
        let c = coefficients(Sequences.ragged.count)
        #expect(gradient == sameGradient)
        // Tokens of weight 0 are left out.
        #expect(zip(logP, zip(sameLogP, c)).allSatisfy { $0 == $1.0 || $1.1 == 0 })
        let expected = zip(c, logP).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(loss - expected) < 1e-12)
    }

    @Test func gradientsAddUp() throws {
        let adapter = try LlamaExample(LlamaExample.qwen2).adapter()
        let (_, once, _) = try adapter.fused(.golden)
        var scores = [Double](repeating: 0, count: Sequences.golden.count)
        _ = try adapter.loss(
            Sequences.golden.batch, weights: coefficients(Sequences.golden.count).map { -$0 },
            dropoutKey: RandomKey(value: 0), logP: &scores)
        for (twice, one) in zip(adapter.gradientElements, once) {
            #expect(abs(twice - 2 * one) < 1e-5)
        }
    }

    /// Bits stay when blocks are computed again, and for any number of threads.
    @Test func recomputationAndThreadsChangeNoBit() throws {
        let example = try LlamaExample(LlamaExample.llama3())
        let plain = try example.adapter { $0.dropout = 0.3 }.fused(.ragged, key: 5)
        let again = try example.adapter {
            $0.dropout = 0.3
            $0.recompute = true
        }.fused(.ragged, key: 5)
        #expect(plain == again)
        let count = ThreadPool.shared.count
        defer { ThreadPool.shared.count = count }
        for threads in [1, 2, 3] {
            ThreadPool.shared.count = threads
            #expect(try example.adapter { $0.dropout = 0.3 }.fused(.ragged, key: 5) == plain)
        }
    }

    @Test func dropoutFollowsTheKeyAndItsGradientTheMask() throws {
        let example = try LlamaExample(LlamaExample.llama3())
        let adapter = try example.adapter { $0.dropout = 0.5 }
        let (logP, gradient) = try adapter.twoPhases(.golden, key: 1)
        #expect(try adapter.twoPhases(.golden, key: 1) == (logP, gradient))
        #expect(try adapter.twoPhases(.golden, key: 2).0 != logP)
        #expect(try example.adapter().twoPhases(.golden).0 != logP)
        // Single precision: a coarse difference along the gradient itself.
        let square = gradient.reduce(0) { $0 + Double($1 * $1) }, h: Float = 1e-3
        func objective(_ step: Float) throws -> Double {
            for i in 0..<adapter.count { adapter.parameters.base[i] += step * gradient[i] }
            defer {
                for i in 0..<adapter.count { adapter.parameters.base[i] -= step * gradient[i] }
            }
            let c = coefficients(Sequences.golden.count)
            return try zip(c, adapter.twoPhases(.golden, key: 1).0).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let slope = try (objective(h) - objective(-h)) / (2 * Double(h))
        #expect(abs(slope - square) < 0.02 * square)
    }

    @Test func backwardNeedsAForward() throws {
        let adapter = try LlamaExample(LlamaExample.qwen2).adapter()
        #expect(!adapter.isPending)
        var logP = [Double](repeating: 0, count: Sequences.golden.count)
        try adapter.forward(
            Sequences.golden.batch, dropoutKey: RandomKey(value: 0), logP: &logP, entropy: nil
        ) { $0 != 2 }
        #expect(adapter.isPending && adapter.pendingTokens == logP.count)
        #expect(logP[0] == 0 && logP[2] == 0 && logP[1] < 0)
        adapter.invalidate()
        #expect(!adapter.isPending)
    }
}
