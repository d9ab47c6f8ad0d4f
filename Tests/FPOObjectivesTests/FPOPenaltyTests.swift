import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

private func penalties<Element: KernelElement>(
    _ g: Samples<Element>, _ reference: Samples<Element>?, shiftInvariant: Bool = false
) throws -> [Double] {
    try [Double](unsafeUninitializedCapacity: g.count) { buffer, count in
        if let base = buffer.baseAddress {
            try FPOPenalty.practical(
                gradients: g.rows, reference: reference?.rows, shiftInvariant: shiftInvariant,
                into: base)
        }
        count = g.count
    }
}

/// Golden values: NumPy float64, exact.
@Test func practicalMatchesNumPy() throws {
    let g = Samples<Double>(4, 6) { quarter($0, $1, 0) }
    let reference = Samples<Double>(4, 6) { quarter($0, $1, 1) }
    #expect(try penalties(g, nil) == [3.9375, 4.5, 2.625, 4.5])
    #expect(try penalties(g, reference) == [5.625, 6.25, 4.8125, 6.125])
    #expect(
        try penalties(g, reference, shiftInvariant: true) == [10.75, 11.4375, 11.4375, 10.75])
}

@Test func relaxedIsOverconfidenceTimesPractical() throws {
    let g = Samples<Float>(4, 6) { Float(quarter($0, $1, 0)) }
    let e = [0.5, -1.25, 2, 0]
    var relaxed = [Double](repeating: .nan, count: 4)
    try FPOPenalty.relaxed(
        gradients: g.rows, reference: nil, overconfidence: e, into: &relaxed)
    #expect(relaxed == [1.96875, -5.625, 5.25, 0])
}

@Test(arguments: 0..<4)
func shiftInvariantFormIgnoresACommonShiftAndIsNeverNegative(seed: Int) throws {
    var rng = SplitMix64(seed: seed)
    let g = Samples<Double>(9, 37, using: &rng), r = Samples<Double>(9, 37, using: &rng)
    let shift = Samples<Double>(1, 37, using: &rng)
    let shifted = Samples<Double>(9, 37) { g[$0, $1] + shift[0, $1] }
    let reference = Samples<Double>(9, 37) { r[$0, $1] + shift[0, $1] }
    let plain = try penalties(g, r, shiftInvariant: true)
    let moved = try penalties(shifted, reference, shiftInvariant: true)
    #expect(relativeError(moved, plain) < 1e-14)
    #expect(plain.allSatisfy { $0 > 0 })
    // The plain form does change: the two are different penalties.
    #expect(relativeError(try penalties(shifted, reference), try penalties(g, r)) > 1e-3)
}

@Test func penaltyVanishesAtTheReference() throws {
    var rng = SplitMix64(seed: 1)
    let g = Samples<Double>(5, 40, using: &rng)
    #expect(try penalties(g, g) == [0, 0, 0, 0, 0])
    #expect(try penalties(g, g, shiftInvariant: true) == [0, 0, 0, 0, 0])
}

@Test func singlePrecisionAgreesWithDouble() throws {
    var rng = SplitMix64(seed: 2)
    let g = Samples<Float>(7, 301, using: &rng), r = Samples<Float>(7, 301, using: &rng)
    let gDouble = Samples<Double>(7, 301) { Double(g[$0, $1]) }
    let rDouble = Samples<Double>(7, 301) { Double(r[$0, $1]) }
    // Widening is exact and sums run in double: the same bits.
    #expect(try penalties(g, nil) == penalties(gDouble, nil))
    #expect(try penalties(g, r) == penalties(gDouble, rDouble))
    let narrow = try penalties(g, r, shiftInvariant: true)
    #expect(try narrow == penalties(gDouble, rDouble, shiftInvariant: true))
}

@Test func emptySamplesAndEmptyGradients() throws {
    #expect(try penalties(Samples<Double>(0, 5) { _, _ in 1 }, nil) == [])
    #expect(try penalties(Samples<Double>(3, 0) { _, _ in 1 }, nil) == [0, 0, 0])
}

/// Enough rows for several tasks: each row as if it were alone, whatever the threads.
@Test func rowsAreIndependentOfTheBatch() throws {
    var rng = SplitMix64(seed: 3)
    let g = Samples<Double>(200, 1000, using: &rng)
    let all = try penalties(g, nil)
    for i in [0, 57, 199] {
        #expect(try penalties(Samples<Double>(1, 1000) { g[i, $1] }, nil) == [all[i]])
    }
}
