import FPONumerics
import Testing

/// Known-answer tests of Random123 (`kat_vectors`, threefry2x32 with 20 rounds): counter, key,
/// block; low word first.
private let knownAnswers: [(UInt64, UInt64, UInt64)] = [
    (0, 0, 0x99ba_4efe_6b20_0159),
    (UInt64.max, UInt64.max, 0xbb00_2be7_1cb9_96fc),
    (0x85a3_08d3_243f_6a88, 0x0370_7344_1319_8a2e, 0x483d_f7a0_c492_3a9c),
]

@Test(arguments: knownAnswers)
func threefryMatchesRandom123(counter: UInt64, key: UInt64, block: UInt64) {
    #expect(RandomKey(value: key).block(counter) == block)
}

@Test func foldIsThreefryOfTheComplement() {
    let key = RandomKey(value: 0x0123_4567_89ab_cdef)
    #expect(key.fold(7).value == RandomKey(value: ~key.value).block(7))
    #expect(RandomKey(seed: 3) == RandomKey(value: 0).fold(3))
}

@Test func seedsAndChildrenHaveDistinctKeys() {
    let seeds = (0..<4096).map { RandomKey(seed: $0) }
    let children = seeds.prefix(64).flatMap { key in (0..<64).map { key.fold($0) } }
    #expect(Set(seeds + children).count == 4096 + 64 * 64)
}
