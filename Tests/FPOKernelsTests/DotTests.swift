import FPOKernelTypes
import FPONumerics
import FPOTestSupport
import Testing

/// Whole numbers: every order of summation is exact.
@Test(arguments: [0, 1, 7, 31, 32, 33, 64, 100, 1003])
func dotsOfWholeNumbersAreExact(n: Int) throws {
    func check<Element: KernelElement>(_ table: KernelTable<Element>) {
        let a = (0..<n).map { Element($0 % 17 - 8) }, b = (0..<n).map { Element($0 % 5 - 3) }
        let c = (0..<n).map { Element($0 % 3) }
        func sum(_ term: (Int) -> Element) -> Double { (0..<n).reduce(0) { $0 + Double(term($1)) } }
        #expect(table.dot(n, a, b) == sum { a[$0] * b[$0] })
        #expect(table.differenceDot(n, a, c, b) == sum { (a[$0] - c[$0]) * b[$0] })
        #expect(table.squaredDistance(n, a, c) == sum { (a[$0] - c[$0]) * (a[$0] - c[$0]) })
    }
    check(try #require(CPU.float))
    check(try #require(CPU.double))
}

/// Products of floats are exact in double, so that single precision loses nothing but in the sum.
@Test func dotsAccumulateInDouble() throws {
    var rng = SplitMix64(seed: 5)
    let n = 10_001
    let a = (0..<n).map { _ in Float.random(in: -1...1, using: &rng) }
    let b = (0..<n).map { _ in Float.random(in: -1...1, using: &rng) }
    let float = try #require(CPU.float), double = try #require(CPU.double)
    let sum = float.dot(n, a, b)
    #expect(sum == double.dot(n, a.map(Double.init), b.map(Double.init)))
    let exact = zip(a, b).reduce(0.0 as Float80) { $0 + Float80($1.0) * Float80($1.1) }
    #expect((Float80(sum) - exact).magnitude < 1e-12)
}
