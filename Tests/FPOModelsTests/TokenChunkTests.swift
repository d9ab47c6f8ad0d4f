import FPOModels
import Testing

@Suite struct TokenChunkTests {
    @Test func batchesAreRagged() {
        let batch = Sequences.ragged.batch
        #expect(batch.count == 7 && batch.tokenCount == 15)
        #expect(batch[0].isEmpty && batch[1] == 0..<5 && batch[3] == 5..<7 && batch[6].isEmpty)
        #expect(Sequences([]).batch.tokenCount == 0)
    }

    /// Passes hold up to some hundred rows: sequences in different passes score as in one.
    @Test func longBatchesAreCutBetweenSequences() throws {
        let example = try LlamaExample(LlamaExample.qwen2)
        let sequences = (0..<60).map { i in (0..<1 + i % 30).map { Int32((7 * i + 3 * $0) % 29) } }
        let together = try example.model.logProbabilities(Sequences(sequences))
        let apart = try sequences.flatMap { try example.model.logProbabilities(Sequences([$0])) }
        #expect(together.count > 800)
        #expect(zip(together, apart).allSatisfy { abs($0 - $1) < 1e-5 })
    }
}
