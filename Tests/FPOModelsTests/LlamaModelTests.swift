import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct LlamaModelTests {
    struct Case: Decodable {
        let name: String
        let logP: [Double]
        let gradient: [Double]

        var configuration: LlamaConfiguration {
            name == "qwen2" ? LlamaExample.qwen2 : LlamaExample.llama3()
        }
    }

    /// Tests/Golden/language_models.py: Transformers and PEFT in double precision.
    @Test func logProbabilitiesAndGradientsAreTheOracles() throws {
        for oracle in try golden("language_models", as: [Case].self) {
            let adapter = try LlamaExample(oracle.configuration).adapter()
            let (logP, gradient) = try adapter.twoPhases(.golden)
            #expect(relativeError(logP, oracle.logP, floor: 1) < 2e-6, "\(oracle.name)")
            #expect(
                relativeError(gradient.map(Double.init), oracle.gradient) < 1e-5, "\(oracle.name)")
        }
    }

    @Test func logProbabilitiesAreTheReferences() throws {
        for configuration in [LlamaExample.llama3(), LlamaExample.qwen2] {
            let example = try LlamaExample(configuration)
            let expected = LlamaReference(example).logProbabilities(.ragged)
            let got = try example.model.logProbabilities(.ragged)
            #expect(relativeError(got, expected, floor: 1) < 2e-6)
        }
    }

    /// bfloat16 keeps 8 bits of a weight, int8 steps of 1/254 of a row's greatest.
    @Test(arguments: [(PackedMatrix.Storage.bfloat16, 1e-6), (.int8, 0.3)])
    func storageCostsThatMuch(storage: PackedMatrix.Storage, bound: Double) throws {
        let expected = try LlamaExample(LlamaExample.llama3()).model.logProbabilities(.golden)
        let example = try LlamaExample(LlamaExample.llama3(storage))
        let got = try example.model.logProbabilities(.golden)
        // The formula's weights are exact in bfloat16.
        #expect(zip(got, expected).allSatisfy { abs($0 - $1) < bound })
        #expect(example.model.byteCount < 8 * 29 * 16 * 40)
    }

    @Test func tensorsAreMissingUntilLoaded() throws {
        let model = try LlamaModel(LlamaExample.qwen2)
        #expect(model.missing.count == model.tensors.count)
        #expect(!model.isFinished)
        let embedding = model.tensors[0]
        #expect(embedding.name == "model.embed_tokens.weight")
        #expect(embedding.rows == 29 && embedding.columns == 16)
        let values = Samples<Float>(20, 16) { _, _ in 1 }
        model.load(0, first: 0, values.rows)
        #expect(model.missing.first == embedding)
        model.load(0, first: 9, values.rows)
        #expect(model.missing.first != embedding)
        #expect(!model.tensors.contains { $0.name == "lm_head.weight" })
        #expect(model.tensors.contains { $0.name == "model.layers.1.self_attn.k_proj.bias" })
    }
}
