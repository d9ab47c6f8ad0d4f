import FPONumerics
import FPOTestSupport
import Testing

@Suite struct DotTests {
    /// The order is part of the contract: element `i` goes to partial sum `i mod 8`, these are added
    /// pairwise, the rest follows.
    @Test(arguments: [0, 1, 7, 8, 9, 16, 31, 100])
    func theOrderOfSummationIsFixed(n: Int) {
        var rng = SplitMix64(seed: n)
        let a = (0..<n).map { _ in Double.random(in: -1...1, using: &rng) }
        let b = (0..<n).map { _ in Double.random(in: -1...1, using: &rng) }
        var s = [Double](repeating: 0, count: 8)
        for i in 0..<n / 8 * 8 { s[i % 8] += a[i] * b[i] }
        var expected = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
        for i in n / 8 * 8..<n { expected += a[i] * b[i] }
        #expect(dot(n, a, b) == expected)
    }

    @Test func dotsOfWholeNumbersAreExactInFloat() {
        let a = (0..<1003).map { Float($0 % 17 - 8) }, b = (0..<1003).map { Float($0 % 5 - 3) }
        #expect(dot(1003, a, b) == (0..<1003).reduce(0) { $0 + a[$1] * b[$1] })
    }

    @Test func addProductAddsToAPrefix() {
        var y: [Double] = [1, 2, 3, 4]
        addProduct(3, -2, [10, 20, 30, 40], to: &y)
        #expect(y == [-19, -38, -57, 4])
    }
}
