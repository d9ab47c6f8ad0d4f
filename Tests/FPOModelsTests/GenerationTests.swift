import FPOModels
import FPONumerics
import Testing

@Suite struct GenerationTests {
    private let prompts: [[Int32]] = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]

    private func run(
        _ example: LlamaExample, _ adapter: LoRAAdapter?, prompts: [[Int32]]? = nil,
        keys: [RandomKey]? = nil, _ edit: (inout GenerationConfiguration) -> Void
    ) throws -> [Generation.Candidate] {
        var c = GenerationConfiguration()
        c.maximumTokens = 8
        edit(&c)
        let prompts = prompts ?? self.prompts
        let keys =
            keys ?? (0..<prompts.count * c.candidates).map { RandomKey(seed: UInt64($0)) }
        let generation = try Generation(
            example.model, adapter: adapter, c, prompts: prompts, keys: keys)
        var steps = 0
        while generation.running > 0 {
            try generation.step()
            steps += 1
            if steps > 1000 { break }
        }
        #expect(generation.running == 0)
        return generation.candidates
    }

    /// What the sampler says of its tokens is what training and evaluation say.
    @Test func logProbabilitiesAreTheModels() throws {
        let example = try LlamaExample(LlamaExample.llama3())
        let adapter = try example.adapter()
        let found = try run(example, adapter) {
            $0.candidates = 3
            $0.sampling = Sampling(temperature: 0.7, topK: 20, topP: 0.9)
            $0.minimumTokens = 3
            $0.stopTokens = [0, 1, 2, 3, 4, 5, 6, 7]
        }
        let whole = Sequences(found.enumerated().map { prompts[$0 / 3] + $1.tokens })
        let logP = try adapter.twoPhases(whole).0
        for (row, candidate) in found.enumerated() {
            let first = whole.batch[row].upperBound - candidate.tokens.count
            for (t, value) in candidate.logP.enumerated() {
                #expect(abs(Double(value) - logP[first + t]) < 1e-4)
            }
            #expect(candidate.tokens.count >= 3)
            let stopped = candidate.tokens.last! < 8
            #expect(candidate.finish == (stopped ? .stop : .length))
            #expect(candidate.tokens.dropLast().allSatisfy { $0 >= 8 })
        }
        #expect(Set(found.map(\.tokens.count)).count > 1)
    }

    /// A candidate alone draws what it draws in any company.
    @Test func drawsDependOnPromptAndKeyAlone() throws {
        let example = try LlamaExample(LlamaExample.qwen2)
        let keys = (0..<6).map { RandomKey(seed: UInt64(50 + $0)) }
        func tokens(_ batch: Int) throws -> [[Int32]] {
            try run(example, nil, keys: keys) {
                $0.candidates = 2
                $0.maximumBatch = batch
                $0.stopTokens = [1, 2, 3]
            }.map(\.tokens)
        }
        let together = try tokens(64)
        #expect(try tokens(1) == together)
        #expect(try tokens(4) == together)
        for row in 0..<6 {
            let alone = try run(
                example, nil, prompts: [prompts[row / 2]], keys: [keys[row]]
            ) { $0.stopTokens = [1, 2, 3] }
            #expect(alone[0].tokens == together[row])
        }
        #expect(together[0] != together[1])
        let count = ThreadPool.shared.count
        defer { ThreadPool.shared.count = count }
        ThreadPool.shared.count = 1
        #expect(try tokens(64) == together)
    }

    @Test func greedyTakesTheMostLikely() throws {
        let example = try LlamaExample(LlamaExample.llama3())
        let found = try run(example, nil) { $0.sampling = Sampling(temperature: 0) }
        let whole = Sequences(zip(prompts, found).map { $0 + $1.tokens })
        var greedy = [Int32](repeating: 0, count: whole.count)
        try example.model.score(
            whole.batch, adapter: nil, logP: nil, entropy: nil, greedy: &greedy)
        for row in 0..<prompts.count {
            #expect(found[row].tokens.count == 8)
            let range = whole.batch[row].dropFirst(prompts[row].count)
            #expect(range.allSatisfy { greedy[$0] == 1 })
        }
    }

    /// The adapter is copied: training goes on while candidates are decoded.
    @Test func trainingLeavesAGenerationAlone() throws {
        let example = try LlamaExample(LlamaExample.qwen2)
        let adapter = try example.adapter()
        let expected = try run(example, adapter) { $0.candidates = 2 }.map(\.tokens)
        var c = GenerationConfiguration()
        c.candidates = 2
        c.maximumTokens = 8
        let keys = (0..<6).map { RandomKey(seed: UInt64($0)) }
        let generation = try Generation(
            example.model, adapter: adapter, c, prompts: prompts, keys: keys)
        try generation.step()
        adapter.parameters.fill(0)
        while generation.running > 0 { try generation.step() }
        #expect(generation.candidates.map(\.tokens) == expected)
    }
}
