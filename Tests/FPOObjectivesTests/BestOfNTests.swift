import FPOObjectives
import FPOTestSupport
import Testing

private func select(_ p: [Double], _ score: [Double], _ n: Int) throws -> ([Double], Double) {
    var out = [Double](repeating: .nan, count: p.count)
    let kl = try BestOfN.evaluate(count: p.count, probability: p, score: score, n: n, into: &out)
    return (out, kl)
}

@Test func bestOfNBoundGoldenValues() {
    for (n, bound) in [
        (2, 0.193147), (4, 0.636294), (16, 1.835089), (64, 3.174508), (256, 4.549083),
    ] {
        #expect(abs(BestOfN.divergenceBound(n) - bound) < 1e-6)
    }
}

@Test func bestOfTwoByHand() throws {
    // (¼, ½, ¼) by ascending score: (1/16, 9/16 − 1/16, 7/16).
    let (selected, kl) = try select([0.25, 0.5, 0.25], [1, 2, 3], 2)
    for (x, y) in zip(selected, [1.0 / 16, 0.5, 7.0 / 16]) { #expect(abs(x - y) < 1e-15) }
    #expect(abs(kl - (-1.3862943611198906 / 16 + 7.0 / 16 * 0.5596157879354227)) < 1e-14)
    // Ties are shared as before.
    let (tied, none) = try select([0.2, 0.5, 0.3], [7, 7, 7], 9)
    for (x, y) in zip(tied, [0.2, 0.5, 0.3]) { #expect(abs(x - y) < 1e-15) }
    #expect(none == 0)
}

/// With many atoms and no ties the divergence comes near its bound, from below.
@Test(arguments: [2, 4, 16]) func theDivergenceIsBelowItsBound(n: Int) throws {
    let m = 4000
    let p = [Double](repeating: 1 / Double(m), count: m)
    let (selected, kl) = try select(p, (0..<m).map { Double(($0 * 7919) % m) }, n)
    #expect(abs(selected.reduce(0, +) - 1) < 1e-12)
    #expect(kl < BestOfN.divergenceBound(n) && kl > BestOfN.divergenceBound(n) - 0.01)
    let coarse = try select([0.5, 0.5], [0, 1], n).1
    #expect(coarse < 0.7)
}

@Test func extremeBestOfN() throws {
    let (selected, kl) = try select([1 - 1e-12, 1e-12, 0], [0, 1, 2], 1 << 40)
    #expect(abs(selected[1] - 0.6670) < 1e-3 && selected[2] == 0 && kl.isFinite)
}

/// Against the mean over all subsets of size n, each with its best by the proxy.
@Test func theEstimateIsTheMeanOverSubsets() throws {
    let proxy = [0.3, 0.9, 0.1, 0.9, 0.5], gold = [1.0, 2, 4, 8, 16]
    for n in 1...5 {
        var sum = 0.0, count = 0.0
        for mask in 1..<32 where mask.nonzeroBitCount == n {
            let members = (0..<5).filter { mask >> $0 & 1 == 1 }
            let best = members.map { proxy[$0] }.max()!
            let winners = members.filter { proxy[$0] == best }
            sum += winners.reduce(0) { $0 + gold[$1] } / Double(winners.count)
            count += 1
        }
        let found = try BestOfN.estimate(count: 5, proxy: proxy, gold: gold, n: n)
        #expect(abs(found - sum / count) < 1e-13)
    }
}
