import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct TextRewardTests {
    private func rows(_ reward: TextReward, _ example: EncoderExample) throws -> [[Float]] {
        let n = example.offsets.count - 1
        var out = [Float](repeating: 0, count: n * reward.count)
        try out.withUnsafeMutableBufferPointer { out in
            try example.withBatch {
                try reward.gradients(
                    $0,
                    into: MutableRows(
                        base: out.baseAddress!, columns: reward.count,
                        leadingDimension: reward.count))
            }
        }
        return (0..<n).map { Array(out[$0 * reward.count..<($0 + 1) * reward.count]) }
    }

    private func gram(_ reward: TextReward, _ example: EncoderExample) throws -> [[Double]] {
        let n = example.offsets.count - 1
        var out = [Double](repeating: 0, count: n * n)
        try out.withUnsafeMutableBufferPointer { out in
            try example.withBatch {
                try reward.gram(
                    $0, into: MutableRows(base: out.baseAddress!, columns: n, leadingDimension: n))
            }
        }
        return (0..<n).map { Array(out[$0 * n..<($0 + 1) * n]) }
    }

    private func scores(
        _ reward: TextReward, _ example: EncoderExample, dropout: Double = 0
    ) throws -> [Double] {
        var out = [Double](repeating: 0, count: example.offsets.count - 1)
        try example.withBatch {
            try reward.forward($0, dropout: dropout, key: RandomKey(seed: 8), into: &out)
        }
        return out
    }

    private static var configurations: [EncoderConfiguration] {
        [EncoderExample.bert, EncoderExample.deberta]
    }

    /// Scores and derivatives against an encoder in double and its finite differences.
    @Test(arguments: configurations)
    func gradientsOfAReference(_ configuration: EncoderConfiguration) throws {
        let example = try EncoderExample(configuration)
        let reward = try example.reward(.all)
        let copy = try Buffer<Double>(reward.count)
        for i in 0..<reward.count { copy.base[i] = Double(reward.values.base[i]) }
        let reference = EncoderReference(
            configuration: configuration, parameters: reward.parameters, values: copy.base)
        let expected = (0..<3).map { reference.score(example.text($0)) }
        #expect(relativeError(try scores(reward, example), expected) < 1e-5)
        let gradients = try rows(reward, example)
        for i in 0..<3 {
            let text = example.text(i)
            // Some of the parameters, from another one on for each text.
            let some = Array(stride(from: 5 * i, to: reward.count, by: 17))
            let numerical = some.map { index in
                numericalGradient(at: Matrix(base: copy.base + index, rows: 1, columns: 1)) {
                    reference.score(text)
                }[0]
            }
            #expect(relativeError(some.map { Double(gradients[i][$0]) }, numerical) < 1e-4)
        }
    }

    @Test(arguments: [
        Trainable.head, .blocks(1), .blocks(2), .lora(rank: 2, alpha: 4), .all,
    ])
    func innerProductsAndSumsOfGradients(_ trainable: Trainable) throws {
        var head = RewardHead()
        head.hidden = 3
        for configuration in Self.configurations {
            let example = try EncoderExample(configuration)
            let reward = try example.reward(
                trainable, pooler: configuration.pooler ? .context : .mean, head: head)
            for tensor in reward.parameters where tensor.name.hasSuffix("lora_B.weight") {
                for k in 0..<tensor.count { reward.values.base[tensor.offset + k] = 0.1 }
            }
            reward.parametersChanged()
            let g = try rows(reward, example).map { $0.map(Double.init) }
            let gram = try gram(reward, example)
            for i in 0..<3 {
                let expected = (0..<3).map { j in zip(g[i], g[j]).reduce(0) { $0 + $1.0 * $1.1 } }
                #expect(relativeError(gram[i], expected) < 1e-5)
            }
            _ = try scores(reward, example)
            #expect(reward.keptCount == 3)
            var sum = [Float](repeating: 0, count: reward.count)
            try reward.backward([1, -2, 0.5], into: &sum)
            #expect(reward.keptCount == nil)
            let expected = (0..<reward.count).map { g[0][$0] - 2 * g[1][$0] + 0.5 * g[2][$0] }
            #expect(relativeError(sum.map(Double.init), expected) < 1e-5)
        }
    }

    @Test func adaptersStartWithoutEffect() throws {
        let example = try EncoderExample(EncoderExample.deberta)
        let plain = try example.reward(.head),
            adapted = try example.reward(.lora(rank: 2, alpha: 8))
        let head = plain.count, offset = adapted.count - head
        (adapted.values.base + offset).update(from: plain.values.base, count: head)
        #expect(try scores(plain, example) == scores(adapted, example))
    }

    @Test func dropoutOfTheForwardPassIsThatOfTheBackwardPass() throws {
        let example = try EncoderExample(EncoderExample.bert)
        let reward = try example.reward(.all)
        let plain = try scores(reward, example)
        #expect(try scores(reward, example, dropout: 0.3) == scores(reward, example, dropout: 0.3))
        #expect(try scores(reward, example, dropout: 0.3) != plain)
        var gradient = [Float](repeating: 0, count: reward.count)
        try reward.backward([1, 0, 0], into: &gradient)
        for index in [3, 90, reward.count / 2, reward.count - 4] {
            let start = reward.values.base[index], h: Float = 2e-2
            reward.values.base[index] = start + h
            let up = try scores(reward, example, dropout: 0.3)[0]
            reward.values.base[index] = start - h
            let down = try scores(reward, example, dropout: 0.3)[0]
            reward.values.base[index] = start
            #expect(abs(Double(gradient[index]) - (up - down) / Double(2 * h)) < 2e-3)
        }
    }
}
