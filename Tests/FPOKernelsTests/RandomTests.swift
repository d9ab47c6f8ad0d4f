import FPOKernelTypes
import FPONumerics
import Glibc
import Testing

private func draws<Element: KernelElement>(
    _ stream: KernelTable<Element>.Stream, _ key: RandomKey, _ n: Int
) -> [Element] {
    [Element](unsafeUninitializedCapacity: n) { buffer, count in
        if let base = buffer.baseAddress { stream(key.value, n, base) }
        count = n
    }
}

private let key = RandomKey(seed: 42)

/// Draw `i` by the scalar generator: the top 23 bits of a word, the midpoint of their interval.
private func reference(_ i: Int) -> Double {
    let block = key.block(UInt64(i / 2))
    let word = i % 2 == 0 ? UInt32(truncatingIfNeeded: block) : UInt32(block >> 32)
    return (Double(word >> 9) + 0.5) * 0x1p-23
}

@Test func uniformDrawsAreTheScalarGenerators() throws {
    let float = draws(try #require(CPU.float).uniform, key, 1001)
    let double = draws(try #require(CPU.double).uniform, key, 1001)
    #expect(double == (0..<1001).map(reference))
    #expect(float.map(Double.init) == double)
}

/// Box and Muller with Glibc's functions in double.
@Test func normalDrawsAreBoxMuller() throws {
    let n = 100_000
    let float = draws(try #require(CPU.float).normal, key, n)
    let double = draws(try #require(CPU.double).normal, key, n)
    var worst = (float: 0.0, double: 0.0)
    for i in 0..<n {
        let radius = (-2 * log(reference(i & ~1))).squareRoot()
        let angle = 2 * Double.pi * reference(i | 1)
        let z = radius * (i % 2 == 0 ? cos(angle) : sin(angle))
        worst.float = max(worst.float, (Double(float[i]) - z).magnitude)
        worst.double = max(worst.double, (double[i] - z).magnitude)
    }
    #expect(worst.float < 2e-6)
    #expect(worst.double < 1e-14)
}

@Test(arguments: 0...40)
func drawsDoNotDependOnTheCount(n: Int) throws {
    let table = try #require(CPU.float)
    #expect(draws(table.normal, key, n) == Array(draws(table.normal, key, 64)[..<n]))
    #expect(draws(table.uniform, key, n) == Array(draws(table.uniform, key, 64)[..<n]))
}

/// Moments within five standard errors of a million draws.
@Test func momentsAreThoseOfTheDistribution() throws {
    let n = 1_000_000
    let table = try #require(CPU.double)
    func moment(_ x: [Double], _ power: Int) -> Double {
        x.reduce(0) { $0 + pow($1, Double(power)) } / Double(n)
    }
    let u = draws(table.uniform, RandomKey(seed: 1), n)
    #expect(u.allSatisfy { $0 > 0 && $0 < 1 })
    #expect((moment(u, 1) - 0.5).magnitude < 5 * (1.0 / 12 / Double(n)).squareRoot())
    #expect((moment(u, 2) - 1.0 / 3).magnitude < 5 * (4.0 / 45 / Double(n)).squareRoot())
    let z = draws(table.normal, RandomKey(seed: 2), n)
    let standardErrors = [1.0, 2, 15, 96].map { ($0 / Double(n)).squareRoot() }
    for (power, expected) in [(1, 0.0), (2, 1), (3, 0), (4, 3)] {
        #expect((moment(z, power) - expected).magnitude < 5 * standardErrors[power - 1])
    }
    // Neighbours come from one block, and distant draws from different ones: both uncorrelated.
    for lag in [1, 2, 7] {
        let product = (0..<n - lag).reduce(0) { $0 + z[$1] * z[$1 + lag] } / Double(n - lag)
        #expect(product.magnitude < 5 / Double(n).squareRoot())
    }
}
