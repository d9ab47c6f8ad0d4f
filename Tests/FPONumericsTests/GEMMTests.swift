import FPONumerics
import FPOTestSupport
import Testing

// More than a block of rows, columns and depths, upright and turned, and whole blocks of them.
@Test(arguments: [
    (1, 1, 1), (5, 7, 3), (100, 17, 40), (16, 300, 70), (9, 33, 600), (97, 18, 530), (2, 400, 530),
    (800, 3, 300),
])
func gemmIsTheNaiveSum(_ shape: (m: Int, n: Int, k: Int)) {
    let (m, n, k) = shape
    for flags in 0..<8 {
        let (turnA, turnB, adding) = (flags & 1 > 0, flags & 2 > 0, flags & 4 > 0)
        let a = floats(wave(1, m * k), rows: turnA ? k : m)
        let b = floats(wave(2, n * k), rows: turnB ? n : k)
        let c = floats(wave(3, m * n), rows: m)
        var sums = c.doubles.map { adding ? $0 : 0 }
        for i in 0..<m {
            for j in 0..<n {
                for l in 0..<k {
                    sums[i * n + j] +=
                        0.5 * Double(turnA ? a[l, i] : a[i, l]) * Double(turnB ? b[j, l] : b[l, j])
                }
            }
        }
        GEMM.multiply(c, a, b, transposeA: turnA, transposeB: turnB, alpha: 0.5, adding: adding)
        #expect(relativeError(c.doubles, sums) < 3e-6)
    }
}
