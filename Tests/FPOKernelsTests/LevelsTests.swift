import FPOKernelTypes
import FPOKernelsF32V3
import FPOKernelsF32V4
import FPOKernelsF64V3
import FPOKernelsF64V4
import FPONumerics
import FPOTestSupport
import Testing

/// Where the processor has both levels, they agree to the last bit: results do not depend on the
/// machine.
@Suite(.enabled(if: CPU.detectedLevel >= 4)) struct LevelsTests {
    private func check<Element: KernelElement>(
        _ low: KernelTable<Element>, _ high: KernelTable<Element>
    ) {
        var rng = SplitMix64(seed: 0)
        let n = 4099
        let x = (0..<n).map { _ in Element(Double.random(in: -120...120, using: &rng)) }
        let y = (0..<n).map { _ in Element(Double.random(in: -1...1, using: &rng)) }
        func apply(_ map: KernelTable<Element>.Map) -> [Element] {
            var out = x
            map(n, x.map { $0 + 121 }, &out)
            map(n / 2, x, &out)
            return out.map { $0.isNaN ? 0 : $0 }
        }
        func draw(_ stream: KernelTable<Element>.Stream) -> [Element] {
            var out = x
            stream(99, n, &out)
            return out
        }
        #expect(apply(low.exp) == apply(high.exp))
        #expect(apply(low.log) == apply(high.log))
        #expect(apply(low.tanh) == apply(high.tanh))
        #expect(apply(low.sigmoid) == apply(high.sigmoid))
        #expect(apply(low.softplus) == apply(high.softplus))
        #expect(low.dot(n, x, y) == high.dot(n, x, y))
        #expect(low.differenceDot(n, x, y, x) == high.differenceDot(n, x, y, x))
        #expect(low.squaredDistance(n, x, y) == high.squaredDistance(n, x, y))
        #expect(draw(low.uniform) == draw(high.uniform))
        #expect(draw(low.normal) == draw(high.normal))
    }

    /// The state after a move and seven labels, and an estimate of each label's action.
    private func filtered(_ kernels: FilterKernels) throws -> [Double] {
        var rng = SplitMix64(seed: 1)
        let d = 3, n = 7, settings = UtilityFilterSettings()
        let x = (0..<n * d).map { _ in Double.random(in: -1...1, using: &rng) }
        let memory = try Buffer<Double>(kernels.memoryVectors(d), kernels.lanes)
        let base = memory.base
        var utility = [Double](repeating: 0, count: n), slope = x
        kernels.begin(settings, base, d, x, 2, nil)
        kernels.move(settings, base, d, utility)
        kernels.observe(settings, base, d, n, x, d, x)
        kernels.estimate(base, d, n, x, d, &utility, &slope, d)
        let state = (0..<kernels.stateVectors(d)).map { base[$0 * kernels.lanes] }
        return state + utility + slope
    }

    @Test func utilityFilter() throws {
        #expect(try filtered(FPOKernelsF64V3.filters) == filtered(FPOKernelsF64V4.filters))
    }

    @Test func singlePrecision() { check(FPOKernelsF32V3.table, FPOKernelsF32V4.table) }
    @Test func doublePrecision() { check(FPOKernelsF64V3.table, FPOKernelsF64V4.table) }
}
