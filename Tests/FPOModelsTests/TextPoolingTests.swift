import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct TextPoolingTests {
    private func floats(
        _ rows: Int, _ width: Int, _ body: (MutableRows<Float>) throws -> Void
    ) rethrows -> [[Double]] {
        var out = [Float](repeating: 0, count: rows * width)
        try out.withUnsafeMutableBufferPointer {
            try body(MutableRows(base: $0.baseAddress!, columns: width, leadingDimension: width))
        }
        return (0..<rows).map { row in (0..<width).map { Double(out[row * width + $0]) } }
    }

    @Test func poolersOfHiddenStates() throws {
        let example = try EncoderExample(EncoderExample.deberta), encoder = example.encoder
        let states = try floats(9, 8) { out in
            try example.withBatch { try encoder.hiddenStates($0, blocks: 2, into: out) }
        }
        func features(_ pooler: Pooler) throws -> [[Double]] {
            try floats(3, 8) { out in
                try example.withBatch { try encoder.features($0, pooler: pooler, into: out) }
            }
        }
        let (mean, first) = (try features(.mean), try features(.cls))
        let (tanh, context) = (try features(.tanh), try features(.context))
        for text in 0..<3 {
            let rows = states[example.offsets[text]..<example.offsets[text + 1]]
            let expected = (0..<8).map { j in
                rows.reduce(0) { $0 + $1[j] } / Double(rows.count)
            }
            #expect(relativeError(mean[text], expected) < 1e-6)
            #expect(first[text] == rows.first!)
            // Both dense poolers act on the same numbers z: tanh(z) and z Phi(z).
            for (t, g) in zip(tanh[text], context[text]) {
                let z = 0.5 * Double.log(onePlus: 2 * t / (1 - t))
                #expect(abs(g - z * 0.5 * (1 + erf(z / 2.0.squareRoot()))) < 1e-4 * (1 + abs(z)))
            }
        }
    }

    private func erf(_ x: Double) -> Double {
        var term = x, sum = x
        for k in 1..<100 {
            term *= -x * x / Double(k)
            sum += term / Double(2 * k + 1)
        }
        return 2 / Double.pi.squareRoot() * sum
    }
}
