import FPONumerics
import FPOTestSupport
import Testing

/// A map cut over threads, in place or not, is the kernel's.
@Test(arguments: [0, 1, 5000, 100_001])
func elementwiseIsTheKernelOnEveryElement(n: Int) throws {
    let kernel = try Double.kernels().tanh
    var rng = SplitMix64(seed: n)
    let x = (0..<n).map { _ in Double.random(in: -4...4, using: &rng) }
    var alone = x, cut = [Double](repeating: .nan, count: n), inPlace = x
    kernel(n, x, &alone)
    elementwise(kernel, count: n, x, &cut)
    inPlace.withUnsafeMutableBufferPointer { y in
        if let y = y.baseAddress { elementwise(kernel, count: n, y, y) }
    }
    #expect(cut == alone)
    #expect(inPlace == alone)
}
