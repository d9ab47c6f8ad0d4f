import FPOModels
import FPONumerics
import Testing

@Suite struct LoRAAdapterTests {
    @Test func tensorsAreOrderedByInput() throws {
        let adapter = try LlamaExample(LlamaExample.llama3()).adapter {
            $0.targets = [.query, .value, .down]
        }
        let names = adapter.tensors.prefix(6).map(\.name)
        #expect(
            names == [
                "layers.0.self_attn.q_proj.lora_A.weight",
                "layers.0.self_attn.v_proj.lora_A.weight",
                "layers.0.self_attn.q_proj.lora_B.weight",
                "layers.0.self_attn.v_proj.lora_B.weight", "layers.0.mlp.down_proj.lora_A.weight",
                "layers.0.mlp.down_proj.lora_B.weight",
            ])
        #expect(adapter.tensors[3].rows == 12 && adapter.tensors[3].columns == 2)
        #expect(adapter.count == 2 * 2 * (16 + 16 + 24 + 12 + 20 + 16))
    }

    @Test func aNewAdapterChangesNothing() throws {
        let example = try LlamaExample(LlamaExample.qwen2)
        let adapter = try example.adapter()
        try adapter.initialize(RandomKey(seed: 3))
        let plain = try example.model.logProbabilities(.golden)
        #expect(try example.model.logProbabilities(.golden, adapter: adapter) == plain)
        for tensor in adapter.tensors {
            let values = (0..<tensor.count).map { adapter.parameters.base[tensor.offset + $0] }
            if tensor.name.contains("lora_B") {
                #expect(values.allSatisfy { $0 == 0 })
            } else {
                let bound = 1 / Float(tensor.columns).squareRoot()
                #expect(values.allSatisfy { abs($0) <= bound })
                #expect(values.contains { $0 > bound / 2 } && values.contains { $0 < -bound / 2 })
            }
        }
    }

    @Test func theScaleIsAlphaOverTheRank() throws {
        let example = try LlamaExample(LlamaExample.qwen2)
        let plain = try example.adapter { ($0.rank, $0.alpha) = (4, 6) }
        let stable = try example.adapter {
            ($0.rank, $0.alpha, $0.rankStabilized) = (4, 3, true)
        }
        let a = try example.model.logProbabilities(.golden, adapter: plain)
        #expect(try example.model.logProbabilities(.golden, adapter: stable) == a)
        #expect(try example.model.logProbabilities(.golden) != a)
    }
}
