import FPOModels
import Testing

@Suite struct EncoderArchitectureTests {
    private func names(_ configuration: EncoderConfiguration) throws -> [String] {
        try TextEncoder(configuration).tensors.map(\.name)
    }

    @Test func namesAreTheCheckpoints() throws {
        let bert = try names(EncoderExample.bert)
        #expect(bert.count == 3 + 2 + 2 * 16)
        #expect(bert.first == "embeddings.word_embeddings.weight")
        #expect(bert.contains("encoder.layer.1.attention.self.query.bias"))
        #expect(bert.contains("encoder.layer.1.output.LayerNorm.weight"))
        let deberta = try names(EncoderExample.deberta)
        #expect(deberta.contains("encoder.layer.0.attention.self.query_proj.weight"))
        #expect(deberta.contains("encoder.rel_embeddings.weight"))
        #expect(!deberta.contains { $0.contains("pos_key_proj") || $0.contains("position_emb") })
        var own = EncoderExample.deberta
        own.sharedAttentionKey = false
        own.positionToContent = false
        own.convolution = 3
        own.embedding = 4
        let names = try names(own)
        #expect(names.contains("encoder.layer.1.attention.self.pos_key_proj.bias"))
        #expect(!names.contains { $0.contains("pos_query_proj") })
        #expect(names.contains("embeddings.embed_proj.weight"))
        let convolution = try TextEncoder(own).tensors.first { $0.name.contains("conv.conv.w") }
        #expect(convolution?.columns == 24)
    }

    @Test func robertaLosesItsFirstPositions() {
        var configuration = EncoderExample.bert
        #expect(configuration.maximumLength == 16)
        configuration.family = .roberta
        #expect(configuration.maximumLength == 14)
        #expect(configuration.leastByteCount > 0)
    }
}
