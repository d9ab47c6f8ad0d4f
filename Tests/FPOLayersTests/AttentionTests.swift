import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

private struct Case: Sendable {
    var name = "", sizes: [Int] = [], heads = 1, groups = 1, dimension = 2
    var causal = true, biased = false
    var rows: Int { sizes.reduce(0, +) }
    var offsets: [Int] { sizes.reduce(into: [0]) { $0.append($0.last! + $1) } }
    var attention: Attention {
        Attention(
            heads: heads, keyValueHeads: groups, headDimension: dimension, causal: causal)
    }
}

private let cases = [
    Case(name: "causal", sizes: [7, 1, 18], heads: 6, groups: 2, dimension: 12),
    Case(
        name: "biased", sizes: [5, 9], heads: 4, groups: 4, dimension: 10, causal: false,
        biased: true),
]

private struct Run {
    let q, k, v, out, statistics, dq, dk, dv: Matrix<Float>
    let bias, dBias: Matrix<Float>?

    init(_ c: Case) throws {
        let (n, H, KV) = (c.rows, c.heads * c.dimension, c.groups * c.dimension)
        q = floats(wave(1, n * H), rows: n)
        k = floats(wave(2, n * KV), rows: n)
        v = floats(wave(3, n * KV), rows: n)
        let elements = c.heads * c.sizes.reduce(0) { $0 + $1 * $1 }
        bias = c.biased ? floats(wave(4, elements)) : nil
        dBias = c.biased ? ones(elements) : nil
        out = ones(n * H, rows: n)
        statistics = ones(c.heads * n, rows: c.heads)
        (dq, dk, dv) = (ones(n * H, rows: n), ones(n * KV, rows: n), ones(n * KV, rows: n))
        let workspace = try Attention.Workspace(
            c.attention, tokens: n, sequences: c.sizes.count, backward: true)
        let biasBase = bias.map { UnsafePointer($0.base) }
        c.attention.forward(
            out, q: q, k: k, v: v, sequences: c.offsets, bias: biasBase, statistics: statistics,
            workspace: workspace)
        c.attention.backward(
            dq: dq, dk: dk, dv: dv, dBias: dBias?.base, dOut: slope(n * H, rows: n), out: out,
            q: q, k: k, v: v, sequences: c.offsets, bias: biasBase, statistics: statistics,
            workspace: workspace)
    }
}

@Suite(.serialized) struct AttentionTests {
    @Test(arguments: 0..<2)
    func matchesTorch(_ index: Int) throws {
        let run = try Run(cases[index]), values = try expected(cases[index].name)
        #expect(relativeError(run.out.doubles, values[0]) < 2e-6)
        #expect(relativeError(added(run.dq), values[1]) < 5e-6)
        #expect(relativeError(added(run.dk), values[2]) < 5e-6)
        #expect(relativeError(added(run.dv), values[3]) < 5e-6)
        if let dBias = run.dBias { #expect(relativeError(added(dBias), values[4]) < 5e-6) }
    }

    /// Sizes that cross blocks of rows, on one thread and on all.
    @Test func threadsChangeNoBit() throws {
        let c = Case(sizes: [61, 100], heads: 4, groups: 2, dimension: 64)
        defer { ThreadPool.shared.count = 0 }
        ThreadPool.shared.count = 1
        let one = try Run(c)
        ThreadPool.shared.count = 2
        let two = try Run(c)
        #expect(one.out.doubles == two.out.doubles && one.dq.doubles == two.dq.doubles)
        #expect(one.dk.doubles == two.dk.doubles && one.dv.doubles == two.dv.doubles)
    }

    /// A NaN stays in its sequence, and nothing traps.
    @Test func notANumberStaysInItsSequence() throws {
        let c = cases[0], n = c.rows, D = c.dimension
        let q = floats(wave(1, n * 6 * D), rows: n), k = floats(wave(2, n * 2 * D), rows: n)
        let out = ones(n * 6 * D, rows: n)
        k[2, 0] = .nan
        c.attention.forward(
            out, q: q, k: k, v: k, sequences: c.offsets,
            workspace: try .init(c.attention, tokens: n, sequences: 3, backward: false))
        #expect(out[3, 0].isNaN && !out[7, 0].isNaN && !out[8, 0].isNaN)
    }
}
