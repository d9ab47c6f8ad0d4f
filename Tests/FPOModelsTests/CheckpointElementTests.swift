import FPOModels
import Testing

@Suite struct CheckpointElementTests {
    private func widen<T>(_ values: [T], _ element: CheckpointElement) -> [Float] {
        var out = [Float](repeating: -1, count: values.count)
        values.withUnsafeBytes { element.widen($0.baseAddress!, count: values.count, to: &out) }
        return out
    }

    /// All 65536 of them, against the compiler's own conversion.
    @Test func halvesAreExact() {
        let bits = (0...UInt16.max).map { $0 }
        for (got, bits) in zip(widen(bits, .float16), bits) {
            let expected = Float(Float16(bitPattern: bits))
            #expect(got == expected || (got.isNaN && expected.isNaN))
            #expect(got.sign == expected.sign)
        }
    }

    @Test func brainFloatsAreTheUpperHalf() {
        #expect(
            widen([0x3F80, 0xC020, 0x0001, 0x7F80] as [UInt16], .bfloat16)
                == [1, -2.5, Float(bitPattern: 0x1_0000), .infinity])
    }

    @Test func floatsStay() {
        #expect(widen([1.5, -0.25] as [Float], .float32) == [1.5, -0.25])
        #expect(CheckpointElement.allSizes == [4, 2, 2])
    }
}

extension CheckpointElement {
    fileprivate static var allSizes: [Int] {
        [CheckpointElement.float32, .float16, .bfloat16].map(\.size)
    }
}
