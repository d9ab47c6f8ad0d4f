import FPOKernelTypes
import FPONumerics
import FPOTestSupport
import Glibc
import Testing

#if arch(x86_64)
    private typealias Wide = Float80
#else
    private typealias Wide = Double
#endif

/// An elementary function, and what Glibc says in more precision than the kernel has.
private struct Case: CustomStringConvertible, Sendable {
    let description: String
    let inFloat: @Sendable (KernelTable<Float>) -> KernelTable<Float>.Map
    let inDouble: @Sendable (KernelTable<Double>) -> KernelTable<Double>.Map
    let oracle: @Sendable (Wide) -> Wide
    /// In units in the last place, a little above what docs/math/elementary.md reports.
    let bound: (float: Double, double: Double)
}

private func wideSoftplus(_ x: Wide) -> Wide { max(x, 0) + log1pl(expl(-abs(x))) }

private func wideSigmoid(_ x: Wide) -> Wide {
    x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x))
}

private let cases = [
    Case(
        description: "exp", inFloat: \.exp, inDouble: \.exp, oracle: { expl($0) },
        bound: (1.25, 1.25)),
    Case(
        description: "log", inFloat: \.log, inDouble: \.log, oracle: { logl($0) },
        bound: (1, 1)),
    Case(
        description: "tanh", inFloat: \.tanh, inDouble: \.tanh, oracle: { tanhl($0) },
        bound: (2.75, 2.75)),
    Case(
        description: "sigmoid", inFloat: \.sigmoid, inDouble: \.sigmoid,
        oracle: { wideSigmoid($0) }, bound: (4, 4)),
    Case(
        description: "softplus", inFloat: \.softplus, inDouble: \.softplus,
        oracle: { wideSoftplus($0) }, bound: (5, 5)),
]

/// The distance of `value` from `exact`, in units in the last place at `exact`.
private func error<Element: KernelElement>(_ value: Element, _ exact: Wide) -> Double {
    let rounded = Element(exact)
    guard value.isFinite, rounded.isFinite else { return value == rounded ? 0 : .infinity }
    return Double((Wide(value) - exact).magnitude / Wide(rounded.magnitude.ulp))
}

/// Every order of magnitude of both signs, and dense grids where the functions bend.
private func arguments<Element: KernelElement>(_: Element.Type) -> [Element] {
    var rng = SplitMix64(seed: 0)
    var x: [Element] = []
    let least = Int(Element.leastNonzeroMagnitude.exponent)
    let greatest = Int(Element.greatestFiniteMagnitude.exponent)
    for exponent in least...greatest {
        for _ in 0..<(Element.self == Float.self ? 64 : 8) {
            let significand = Double.random(in: 1..<1.99, using: &rng)
            let magnitude = Element(scalbnl(Wide(significand), Int32(exponent)))
            x += [magnitude, -magnitude]
        }
    }
    for _ in 0..<20_000 { x.append(Element(Double.random(in: -110...110, using: &rng))) }
    for _ in 0..<10_000 { x.append(Element(Double.random(in: -800...800, using: &rng))) }
    for _ in 0..<10_000 { x.append(Element(Double.random(in: -3...3, using: &rng))) }
    return x
}

private func worst<Element: KernelElement>(
    _ map: KernelTable<Element>.Map, _ oracle: (Wide) -> Wide, domain: (Element) -> Bool
) -> (error: Double, at: Element) {
    let x = arguments(Element.self).filter(domain)
    var y = x
    map(x.count, x, &y)
    var worst: (error: Double, at: Element) = (0, 0)
    for (x, y) in zip(x, y) {
        let e = error(y, oracle(Wide(x)))
        if e > worst.error { worst = (e, x) }
    }
    return worst
}

@Test(arguments: cases)
private func singlePrecisionIsWithinItsBound(_ function: Case) throws {
    let table = try #require(CPU.float)
    let positive = function.description == "log"
    let (error, at) = worst(function.inFloat(table), function.oracle) { !positive || $0 > 0 }
    #expect(error <= function.bound.float, "\(error) ulp at \(at)")
}

@Test(arguments: cases)
private func doublePrecisionIsWithinItsBound(_ function: Case) throws {
    let table = try #require(CPU.double)
    let positive = function.description == "log"
    let (error, at) = worst(function.inDouble(table), function.oracle) { !positive || $0 > 0 }
    #expect(error <= function.bound.double, "\(error) ulp at \(at)")
}

private func same<Element: BinaryFloatingPoint>(_ a: Element, _ b: Element) -> Bool {
    a.isNaN ? b.isNaN : a == b && a.sign == b.sign
}

private func checkLimits<Element: KernelElement>(_ table: KernelTable<Element>) {
    let inf = Element.infinity, nan = Element.nan
    let limits: [(String, KernelTable<Element>.Map, [(Element, Element)])] = [
        ("exp", table.exp, [(0, 1), (-0.0, 1), (inf, inf), (-inf, 0), (1e30, inf), (-1e30, 0)]),
        ("log", table.log, [(1, 0), (0, -inf), (-0.0, -inf), (inf, inf), (-1, nan), (-inf, nan)]),
        ("tanh", table.tanh, [(0, 0), (-0.0, -0.0), (inf, 1), (-inf, -1), (100, 1), (-1e30, -1)]),
        ("sigmoid", table.sigmoid, [(0, 0.5), (inf, 1), (-inf, 0), (1e30, 1), (-1e30, 0)]),
        ("softplus", table.softplus, [(inf, inf), (-inf, 0), (1e30, 1e30), (-1e30, 0)]),
    ]
    for (name, map, values) in limits {
        for (x, expected) in values + [(nan, nan)] {
            var y: Element = 7
            map(1, [x], &y)
            #expect(same(y, expected), "\(name)(\(x)) is \(y), not \(expected)")
        }
    }
}

@Test func limitsAndNaN() throws {
    checkLimits(try #require(CPU.float))
    checkLimits(try #require(CPU.double))
}

/// The last partial vector gives the same bits as a whole one, and nothing beyond it is written.
@Test(arguments: 0...33)
func mapsAnyCountInPlace(n: Int) throws {
    let table = try #require(CPU.float)
    let x = (0..<64).map { Float($0) / 7 - 3 }
    var whole = x, part = x
    table.softplus(64, x, &whole)
    part.withUnsafeMutableBufferPointer { table.softplus(n, $0.baseAddress!, $0.baseAddress!) }
    #expect(part == Array(whole[..<n]) + Array(x[n...]))
}
