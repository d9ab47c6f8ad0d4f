import FPONumerics
import Testing

private struct Interruption: Error {}

@Suite struct ArenaTests {
    @Test func aScopeGivesBackWhatItTook() throws {
        var arena = try Arena<Double>(capacity: 10)
        let kept = arena.matrix(2, 2)
        kept.fill(7)
        for value in [1.0, 2.0] {
            arena.scope { arena in
                let scratch = arena.matrix(2, 3)
                #expect(scratch.base == kept.base + 4, "the scope begins where the last one did")
                #expect((0..<6).allSatisfy { scratch.base[$0] == 0 }, "memory comes zeroed")
                scratch.fill(value)
            }
        }
        #expect((0..<4).allSatisfy { kept.base[$0] == 7 })
    }

    @Test func aScopeThatThrowsGivesBackToo() throws {
        var arena = try Arena<Float>(capacity: 8)
        for _ in 0..<3 {
            #expect(throws: Interruption.self) {
                try arena.scope { arena throws(Interruption) in
                    _ = arena.matrix(1, 8)
                    throw Interruption()
                }
            }
        }
    }

    @Test func peakIsTheMostEverInUse() throws {
        var arena = try Arena<Double>(capacity: 100)
        arena.scope { _ = $0.matrix(5, 8) }
        arena.scope { arena in
            _ = arena.matrix(1, 10)
            arena.scope { _ = $0.matrix(2, 20) }
        }
        _ = arena.matrix(1, 1)
        let peak = arena.peak
        #expect(peak == 50)
    }

    @Test(arguments: [(-1, false), (.max, false), (.max / 8, false), (0, true), (9, true)])
    func absurdSizesAreRefused(capacity: Int, possible: Bool) {
        if possible {
            #expect(throws: Never.self) { _ = try Arena<Double>(capacity: capacity) }
        } else {
            #expect(throws: NumericsError.self) { _ = try Arena<Double>(capacity: capacity) }
        }
    }
}
