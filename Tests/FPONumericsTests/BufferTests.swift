import FPONumerics
import Testing

@Suite struct BufferTests {
    @Test(arguments: [(0, 7), (1, 1), (3, 5), (8, 8), (17, 241)])
    func memoryIsZeroedAndOnALine(rows: Int, columns: Int) throws {
        // Dirty memory goes back first, for the next buffer to be made of.
        do {
            let dirty = try Buffer<Float>(rows, columns)
            dirty.base.update(repeating: -2.5, count: dirty.count)
        }
        let buffer = try Buffer<Float>(rows, columns)
        #expect(buffer.count == rows * columns)
        #expect(UInt(bitPattern: buffer.base) % 64 == 0)
        #expect((0..<buffer.count).allSatisfy { buffer.base[$0] == 0 })
    }

    @Test func copiesAreTheirArrays() throws {
        let copy = try Buffer.copy(of: [3, 1, 2])
        #expect(copy.count == 3 && (0..<3).map { copy.base[$0] } == [3, 1, 2])
        #expect(try Buffer<Double>.copy(of: []).count == 0)
    }

    /// A size that no machine has is an error, not the end of the process.
    @Test(arguments: [
        (Int.max, 1), (.max, 2), (.max / 8, 1), (1 << 40, 1 << 10), (-1, 1), (1 << 62, 1 << 62),
    ])
    func absurdSizesAreErrors(rows: Int, columns: Int) {
        #expect(throws: NumericsError.self) { _ = try Buffer<Double>(rows, columns) }
    }
}
