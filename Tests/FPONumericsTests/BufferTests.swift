import FPONumerics
import Testing

@Suite struct BufferTests {
    @Test func memoryIsAlignedAndFilled() throws {
        let buffer = try Buffer(3, 5, filledWith: -2.5 as Float)
        #expect(buffer.count == 15)
        #expect(UInt(bitPattern: buffer.base) % 64 == 0)
        #expect((0..<15).allSatisfy { buffer.base[$0] == -2.5 })
        #expect(try Buffer(0, 7, filledWith: 1.0).count == 0)
    }

    /// A size that no machine has is an error, not the end of the process.
    @Test(arguments: [
        (Int.max, 1), (.max, 2), (.max / 8, 1), (1 << 40, 1 << 10), (-1, 1), (1 << 62, 1 << 62),
    ])
    func absurdSizesAreErrors(rows: Int, columns: Int) {
        #expect(throws: NumericsError.self) { _ = try Buffer(rows, columns, filledWith: 0.0) }
    }
}
