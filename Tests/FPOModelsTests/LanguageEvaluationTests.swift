import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct LanguageEvaluationTests {
    @Test func entropyAndGreedyFollowTheLogits() throws {
        let example = try LlamaExample(LlamaExample.qwen2)
        let adapter = try example.adapter()
        let sequences = Sequences.golden
        var logP = [Double](repeating: 0, count: sequences.count), entropy = logP
        var greedy = [Int32](repeating: 0, count: sequences.count)
        try example.model.score(
            sequences.batch, adapter: adapter, logP: &logP, entropy: &entropy, greedy: &greedy)
        #expect(logP == (try adapter.twoPhases(sequences).0))
        for i in 0..<sequences.batch.count {
            let range = sequences.batch[i]
            let logits = try logits(example, adapter, sequences, range)
            for t in range.dropFirst() {
                let row = logits[t - range.lowerBound - 1]
                let top = row.max()!
                let total = row.reduce(0) { $0 + Double.exp($1 - top) }
                let p = row.map { Double.exp($0 - top) / total }
                let token = Int(sequences.batch.tokens[t])
                #expect(abs(logP[t] - (p[token] as Double).logarithm) < 1e-5)
                let expected = -p.reduce(0) { $0 + ($1 > 0 ? $1 * $1.logarithm : 0) }
                #expect(abs(entropy[t] - expected) < 1e-5)
                #expect(greedy[t] == (row[token] == top ? 1 : 0))
            }
        }
    }

    private func logits(
        _ example: LlamaExample, _ adapter: LoRAAdapter, _ sequences: Sequences,
        _ range: Range<Int>
    ) throws -> [[Double]] {
        let width = example.model.configuration.vocabulary
        var out = [Float](repeating: 0, count: range.count * width)
        try out.withUnsafeMutableBufferPointer {
            try example.model.logits(
                UnsafeBufferPointer(
                    start: sequences.batch.tokens + range.lowerBound, count: range.count),
                adapter: adapter,
                MutableRows(base: $0.baseAddress!, columns: width, leadingDimension: width))
        }
        return range.indices.map { t in
            let first = (t - range.lowerBound) * width
            return out[first..<first + width].map(Double.init)
        }
    }

    @Test func continuationsAreWholeSequences() throws {
        let example = try LlamaExample(LlamaExample.llama3())
        let adapter = try example.adapter()
        let context: [Int32] = [8, 2, 0, 11]
        let tails: [[Int32]] = [[3, 1, 4], [], [9], [2, 6, 5, 3, 5]]
        let whole = try example.model.logProbabilities(
            Sequences(tails.map { context + $0 }), adapter: adapter)
        let sequences = Sequences(tails)
        var got = [Double](repeating: 0, count: sequences.count)
        try context.withUnsafeBufferPointer {
            try example.model.score(
                continuations: sequences.batch, of: $0, adapter: adapter, logP: &got, entropy: nil,
                greedy: nil)
        }
        var expected: [Double] = [], first = 0
        for tail in tails {
            expected += whole[first + context.count..<first + context.count + tail.count]
            first += context.count + tail.count
        }
        #expect(relativeError(got, expected, floor: 1) < 2e-6)
    }

    @Test func hiddenStatesArePooled() throws {
        let example = try LlamaExample(LlamaExample.qwen2)
        let sequences = Sequences.ragged, width = example.model.configuration.hidden
        func states(_ layer: Int, _ pooling: LlamaModel.Pooling) throws -> [[Float]] {
            let rows = pooling == .all ? sequences.count : sequences.batch.count
            var out = [Float](repeating: -1, count: rows * width)
            try out.withUnsafeMutableBufferPointer {
                try example.model.hiddenStates(
                    sequences.batch, adapter: nil, layer: layer, pooling: pooling,
                    MutableRows(base: $0.baseAddress!, columns: width, leadingDimension: width))
            }
            return (0..<rows).map { Array(out[$0 * width..<($0 + 1) * width]) }
        }
        let embedded = try states(0, .all)
        for t in 0..<sequences.count {
            let token = Int(sequences.batch.tokens[t])
            let expected = (0..<width).map {
                LlamaExample.weight(example.model.tensors[0], 0, token, $0)
            }
            #expect(embedded[t] == expected)
        }
        for layer in [1, 2] {
            let all = try states(layer, .all)
            let last = try states(layer, .last), mean = try states(layer, .mean)
            for i in 0..<sequences.batch.count {
                let range = sequences.batch[i]
                guard !range.isEmpty else {
                    #expect(last[i] == [Float](repeating: -1, count: width))
                    continue
                }
                #expect(last[i] == all[range.upperBound - 1])
                for j in 0..<width {
                    let sum = range.reduce(0) { $0 + all[$1][j] }
                    #expect(abs(mean[i][j] - sum / Float(range.count)) < 1e-5)
                }
            }
        }
    }
}

extension Double {
    fileprivate var logarithm: Double { Double.log(onePlus: self - 1) }
}
