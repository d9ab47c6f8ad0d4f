import FPONumerics
import FPOTestSupport
import Testing

/// Below, at and above the tile; rows, columns and a leading dimension of its own.
@Test(arguments: [(1, 1), (1, 5), (3, 1), (63, 20), (64, 65), (65, 64), (130, 200), (200, 130)])
func gramIsTheNaiveSum(shape: (Int, Int)) throws {
    let (n, p) = shape
    var rng = SplitMix64(seed: n * p)
    let v = Samples<Double>(n, p, using: &rng)
    var rows = [Double](repeating: .nan, count: n * n)
    try Gram.ofRows(v.rows, into: &rows)
    for i in 0..<n {
        for j in 0...i {
            let sum = (0..<p).reduce(0) { $0 + v[i, $1] * v[j, $1] }
            #expect((rows[i * n + j] - sum).magnitude < 1e-13, "rows \(i), \(j)")
        }
    }
    var columns = [Double](repeating: .nan, count: p * p)
    try Gram.ofColumns(v.rows, into: &columns)
    for i in 0..<p {
        for j in 0...i {
            let sum = (0..<n).reduce(0) { $0 + v[$1, i] * v[$1, j] }
            #expect((columns[i * p + j] - sum).magnitude < 1e-13, "columns \(i), \(j)")
        }
    }
}

@Test func gramHasTheSameBitsForAnyNumberOfThreads() throws {
    var rng = SplitMix64(seed: 3)
    let v = Samples<Double>(200, 150, using: &rng)
    let threads = ThreadPool.shared.count
    defer { ThreadPool.shared.count = threads }
    func gram(threads: Int) throws -> [Double] {
        ThreadPool.shared.count = threads
        var out = [Double](repeating: 0, count: 200 * 200)
        try Gram.ofRows(v.rows, into: &out)
        return out
    }
    let one = try gram(threads: 1)
    #expect(try gram(threads: 2) == one && gram(threads: 4) == one)
}

/// A matrix without rows has a Gram matrix of its columns: zero.
@Test func gramOfNothingIsZero() throws {
    let none = Samples<Double>(0, 2) { _, _ in 1 }, flat = Samples<Double>(2, 0) { _, _ in 1 }
    var out = [9.0, 9, 9, 9]
    try Gram.ofColumns(none.rows, into: &out)
    #expect(out[0] == 0 && out[2] == 0 && out[3] == 0)
    out = [9, 9, 9, 9]
    try Gram.ofRows(flat.rows, into: &out)
    #expect(out[0] == 0 && out[2] == 0 && out[3] == 0)
}
