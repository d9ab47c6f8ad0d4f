import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct TextEncoderTests {
    private func states(
        _ example: EncoderExample, blocks: Int, only text: Int? = nil
    ) throws -> [Float] {
        let offsets = example.offsets
        let range = text.map { offsets[$0]..<offsets[$0 + 1] } ?? 0..<offsets.last!
        let tokens = Array(example.tokens[range])
        let own = text == nil ? offsets : [0, range.count]
        let width = example.encoder.configuration.hidden
        var out = [Float](repeating: 0, count: tokens.count * width)
        try out.withUnsafeMutableBufferPointer { out in
            try tokens.withUnsafeBufferPointer { tokens in
                try example.encoder.hiddenStates(
                    TextBatch(tokens: tokens.baseAddress!, types: nil, offsets: own),
                    blocks: blocks,
                    into: MutableRows(
                        base: out.baseAddress!, columns: width, leadingDimension: width))
            }
        }
        return out
    }

    @Test func tensorsAreMissingUntilLoaded() throws {
        let encoder = try TextEncoder(EncoderExample.bert)
        #expect(encoder.missing.count == encoder.tensors.count && !encoder.isFinished)
        let row = [Float](repeating: 1, count: 8)
        for first in 0..<encoder.tensors[0].rows {
            #expect(encoder.missing.count == encoder.tensors.count)
            row.withUnsafeBufferPointer {
                encoder.load(
                    0, first: first,
                    Rows(base: $0.baseAddress!, count: 1, columns: 8, leadingDimension: 8))
            }
        }
        #expect(encoder.missing.count == encoder.tensors.count - 1)
        #expect(encoder.byteCount >= 4 * encoder.tensors.reduce(0) { $0 + $1.count })
        #expect(try EncoderExample(EncoderExample.bert).encoder.isFinished)
    }

    @Test(arguments: [EncoderExample.bert, EncoderExample.deberta])
    func textsDoNotInteract(_ configuration: EncoderConfiguration) throws {
        let example = try EncoderExample(configuration), width = configuration.hidden
        for blocks in 0...configuration.blocks {
            let all = try states(example, blocks: blocks)
            for text in 0..<3 {
                let rows = example.offsets[text] * width..<example.offsets[text + 1] * width
                #expect(try states(example, blocks: blocks, only: text) == Array(all[rows]))
            }
        }
    }

    @Test func packedWeightsAreClose() throws {
        let exact = try states(try EncoderExample(EncoderExample.bert), blocks: 2)
        for storage in [PackedMatrix.Storage.bfloat16, .int8] {
            let example = try EncoderExample(EncoderExample.bert, storage: storage)
            let error = relativeError(
                try states(example, blocks: 2).map(Double.init), exact.map(Double.init))
            #expect(error < 0.1)
        }
    }
}
