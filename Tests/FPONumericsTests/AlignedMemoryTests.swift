import FPONumerics
import Testing

@Test(arguments: [0, 1, 63, 64, 4097])
func alignedMemoryIsZeroedOnALine(byteCount: Int) throws {
    // Dirty memory goes back first, for the next block to be made of.
    do {
        let dirty = try #require(AlignedMemory(byteCount: byteCount))
        for i in 0..<byteCount { dirty.base.storeBytes(of: 0xFF, toByteOffset: i, as: UInt8.self) }
    }
    let memory = try #require(AlignedMemory(byteCount: byteCount))
    #expect(memory.byteCount == byteCount)
    #expect(UInt(bitPattern: memory.base) % 64 == 0)
    let bytes = UnsafeRawBufferPointer(start: memory.base, count: byteCount)
    #expect(bytes.allSatisfy { $0 == 0 })
}

@Test func alignedMemoryRefusesAbsurdSizes() {
    #expect(AlignedMemory(byteCount: -1) == nil)
    #expect(AlignedMemory(byteCount: .max) == nil)
}
