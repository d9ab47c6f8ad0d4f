import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

private func solve(_ A: [[Double]]) throws -> ([Double], [Double], Double) {
    let rows = Samples<Double>(A.count, A[0].count) { A[$0][$1] }
    let game = try MatrixGame(rows.rows)
    return (
        (0..<A.count).map { game.row.base[$0] }, (0..<A[0].count).map { game.column.base[$0] },
        game.value
    )
}

private func expectClose(_ a: [Double], _ b: [Double]) {
    for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-12, "\(a) \(b)") }
}

@Test func gamesByHand() throws {
    let (p, q, value) = try solve([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    expectClose(p, [1.0 / 3, 1.0 / 3, 1.0 / 3])
    expectClose(q, p)
    #expect(abs(value) < 1e-12)
    // A saddle point; and 2 x 3 with a mixture: by the lower envelope of the columns.
    let (row, column, saddle) = try solve([[3, 1], [2, 0]])
    #expect(row == [1, 0] && column == [0, 1] && abs(saddle - 1) < 1e-12)
    let (mixed, _, v) = try solve([[2, 3, 11], [7, 5, 2]])
    expectClose(mixed, [3.0 / 11, 8.0 / 11])
    #expect(abs(v - 49.0 / 11) < 1e-12)
}

/// The slides' cycle: with A over B by a, B over C by b, C over A by c, p ∝ (b, c, a).
@Test func aCycleOfPreferences() throws {
    let (a, b, c) = (0.2, 0.3, 0.2)  // A over B, B over C, C over A, minus one half
    let (p, q, value) = try solve([[0, a, -c], [-a, 0, b], [c, -b, 0]])
    let sum = a + b + c
    expectClose(p, [b / sum, c / sum, a / sum])
    expectClose(p, [3.0 / 7, 2.0 / 7, 2.0 / 7])
    expectClose(q, p)
    #expect(abs(value) < 1e-12)
}

@Test(arguments: 0..<24) func noPureStrategyGains(seed: Int) throws {
    var rng = SplitMix64(seed: seed)
    let (m, n) = (Int.random(in: 1...20, using: &rng), Int.random(in: 1...20, using: &rng))
    let A = (0..<m).map { _ in
        (0..<n).map { _ in
            // Half of the games have many ties: the simplex degenerates.
            seed % 2 == 0
                ? Double.random(in: -5...5, using: &rng)
                : Double(Int.random(in: -1...1, using: &rng))
        }
    }
    let (p, q, value) = try solve(A)
    #expect(abs(p.reduce(0, +) - 1) < 1e-12 && abs(q.reduce(0, +) - 1) < 1e-12)
    #expect((p + q).allSatisfy { $0 >= 0 })
    for i in 0..<m { #expect(zip(A[i], q).reduce(0) { $0 + $1.0 * $1.1 } < value + 1e-9) }
    for j in 0..<n {
        #expect((0..<m).reduce(0) { $0 + p[$1] * A[$1][j] } > value - 1e-9)
    }
}

@Test func constantGamesAndScales() throws {
    #expect(try solve([[4, 4], [4, 4]]) == ([0.5, 0.5], [0.5, 0.5], 4))
    let (p, _, value) = try solve([[0, -1e12, 1e12], [1e12, 0, -1e12], [-1e12, 1e12, 0]])
    expectClose(p, [1.0 / 3, 1.0 / 3, 1.0 / 3])
    #expect(abs(value) < 1)
}
