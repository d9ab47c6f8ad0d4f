import FPONumerics
import FPOTestSupport
import Testing

@Test func rowsLieALeadingDimensionApart() {
    let samples = Samples<Double>(3, 2, padding: 5) { Double(10 * $0 + $1) }
    let rows = samples.rows
    #expect([rows.count, rows.columns, rows.leadingDimension] == [3, 2, 7])
    for i in 0..<3 { #expect(rows[i][1] == Double(10 * i + 1)) }
}

/// Whatever an item costs, each is visited once.
@Test(arguments: [0, 1, 2, 4095, 4096, 4097, 100_000], [0, 1, 1000, .max])
func rangesMakeTheWhole(count: Int, cost: Int) throws {
    // No lock: ThreadSanitizer then also sees to it that no two ranges meet.
    let visits = try Buffer<Int>(count)
    nonisolated(unsafe) let base = visits.base
    ThreadPool.shared.run(items: count, cost: cost) { range in
        for i in range { (base + i).pointee += 1 }
    }
    #expect((0..<count).allSatisfy { visits.base[$0] == 1 })
}

@Test func elementTypesFindTheirKernels() throws {
    let ones = [Double](repeating: 1, count: 5)
    #expect(try Double.kernels().dot(5, ones, ones) == 5)
    #expect(try Float.kernels().dot(5, ones.map(Float.init), ones.map(Float.init)) == 5)
}
