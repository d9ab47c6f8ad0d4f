import FPONumerics
import FPOTestSupport
import Synchronization
import Testing

@Test func rowsLieALeadingDimensionApart() {
    let samples = Samples<Double>(3, 2, padding: 5) { Double(10 * $0 + $1) }
    let rows = samples.rows
    #expect([rows.count, rows.columns, rows.leadingDimension] == [3, 2, 7])
    for i in 0..<3 { #expect(rows[i][1] == Double(10 * i + 1)) }
}

/// Whatever an item costs, each is visited once.
@Test(arguments: [0, 1, 2, 4095, 4096, 4097, 100_000], [0, 1, 1000, .max])
func rangesMakeTheWhole(count: Int, cost: Int) {
    let visits = (0..<max(count, 1)).map { _ in 0 }
    let counts = Mutex(visits)
    ThreadPool.shared.run(items: count, cost: cost) { range in
        counts.withLock { for i in range { $0[i] += 1 } }
    }
    #expect(counts.withLock { $0.prefix(count).allSatisfy { $0 == 1 } })
}

@Test func elementTypesFindTheirKernels() throws {
    let ones = [Double](repeating: 1, count: 5)
    #expect(try Double.kernels().dot(5, ones, ones) == 5)
    #expect(try Float.kernels().dot(5, ones.map(Float.init), ones.map(Float.init)) == 5)
}
