import FPOKernelTypes
import FPONumerics
import FPOTestSupport
import FPOTransformerKernelsV3
import FPOTransformerKernelsV4
import Testing

/// Where the processor has both levels, the transformer kernels agree to the last bit.
@Suite(.enabled(if: CPU.detectedLevel >= 4)) struct TransformerLevelsTests {
    private func results(_ t: TransformerKernels) -> [Float] {
        let (m, n, k) = (13, 96, 300)
        let w = floats(wave(1, n * k), rows: n), x = floats(wave(2, m * k), rows: m)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: n * k * 4, alignment: 64)
        let scales = floats([Double](repeating: 0, count: n)),
            scratch = floats(wave(0, TransformerKernels.scratch))
        let y = floats([Double](repeating: 0, count: m * n), rows: m)
        let dx = floats([Double](repeating: 0, count: m * k), rows: m)
        var out: [Float] = []
        func take(_ matrix: Matrix<Float>) { out += (0..<matrix.count).map { matrix.base[$0] } }
        for storage in Int32(0)..<3 {
            let packed = TransformerKernels.Packed(
                memory: memory, storage: storage, scales: scales.base, rows: n, columns: k)
            for row in 0..<n { t.pack(packed, row, w.row(row).base) }
            t.multiply(packed, .init(rows: 0..<m, columns: 0..<n), x.base, k, y.base, n, false)
            t.multiplyTransposed(
                packed, 0, n, .init(rows: 0..<m, columns: 0..<k), y.base, n, dx.base, k, false,
                scratch.base)
            take(y)
            take(dx)
        }
        let row = t.layers.rms(n, 1e-5, x.base, w.base, y.base)
        take(y)
        _ = t.layers.layerNorm(k, 1e-5, x.base, w.base, nil, dx.base)
        t.layers.geluBackward(true, k, x.base, w.base, dx.base)
        t.layers.swigluBackward(37, w.base, x.base, w.base + 50, dx.base, dx.base + 50)
        take(dx)
        let head = AttentionKernels.Head(
            count: m, dimension: 32, causal: true, scale: 0.3, bias: nil, statistics: scales.base)
        let keys = floats([Double](repeating: 0, count: 32 * 32), rows: 32)
        t.attention.transpose(m, 32, .init(x.base, k), keys.base)
        t.attention.forward(
            head, 0..<m, .init(x.base, k), keys.base, .init(w.base, k), .init(dx.base, k),
            scratch.base)
        take(dx)
        return out + [row]
    }

    @Test func levelsAgree() {
        #expect(results(FPOTransformerKernelsV3.table) == results(FPOTransformerKernelsV4.table))
    }
}
