import FPOModels
import Testing

@Suite struct TrainableLayoutTests {
    @Test func choicesHaveTheirParameters() throws {
        let example = try EncoderExample(EncoderExample.deberta)
        let tensors = example.encoder.tensors
        let block = tensors.filter { $0.name.hasPrefix("encoder.layer.1.") }.reduce(0) {
            $0 + $1.count
        }
        let all = tensors.reduce(0) { $0 + $1.count }, pooler = 8 * 8 + 8
        #expect(try example.reward(.head).count == 9)
        #expect(try example.reward(.blocks(1)).count == block + 9)
        #expect(try example.reward(.blocks(1), pooler: .context).count == block + pooler + 9)
        #expect(try example.reward(.all).count == all - pooler + 9)
        #expect(try example.reward(.all, pooler: .tanh).count == all + 9)
        #expect(try example.reward(.lora(rank: 3, alpha: 1)).count == 8 * 3 * 16 + 9)
        var head = RewardHead()
        (head.hidden, head.bias) = (5, false)
        let deep = try example.reward(.head, head: head)
        #expect(deep.parameters.map(\.name) == ["head.0.weight", "head.0.bias", "head.2.weight"])
        #expect(deep.count == 5 * 8 + 5 + 5)
    }

    @Test func poolersThatNeedTheDenseLayer() {
        #expect(Pooler.tanh.needsDense && Pooler.context.needsDense)
        #expect(!Pooler.mean.needsDense && !Pooler.cls.needsDense)
    }

    @Test func offsetsLeaveNoGap() throws {
        let example = try EncoderExample(EncoderExample.bert)
        var next = 0
        for tensor in try example.reward(.lora(rank: 2, alpha: 1)).parameters {
            #expect(tensor.offset == next)
            next += tensor.count
        }
    }
}
