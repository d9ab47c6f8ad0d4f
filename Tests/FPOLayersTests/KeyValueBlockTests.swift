import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

/// Decoding against caches, in any cut into prompt, past and new tokens and for any number of
/// candidates, gives the very bits of the causal forward pass.
@Test(arguments: [(0, 1), (0, 21), (13, 1), (13, 4), (20, 1)])
func decodingHasTheBitsOfTheForwardPass(_ prompt: Int, _ new: Int) throws {
    let attention = Attention(heads: 4, keyValueHeads: 2, headDimension: 12, causal: true)
    let n = 21, copies = 3
    let q = floats(wave(1, n * 48), rows: n), k = floats(wave(2, n * 24), rows: n)
    let v = floats(wave(3, n * 24), rows: n), whole = ones(n * 48, rows: n)
    attention.forward(
        whole, q: q, k: k, v: v, sequences: [0, n],
        workspace: try .init(attention, tokens: n, sequences: 1, backward: false))

    func block(_ first: Int, _ count: Int) -> KeyValueBlock {
        let elements = KeyValueBlock.elements(
            tokens: count, keyValueHeads: 2, headDimension: 12)
        let block = KeyValueBlock(
            base: floats([Double](repeating: 0, count: elements)).base, tokens: count,
            keyValueHeads: 2, headDimension: 12)
        block.write(
            at: 0, k: k.rows(first, count: count), v: v.rows(first, count: count))
        return block
    }
    let shared = prompt > 0 ? block(0, prompt) : nil
    let segments = (0..<copies).map {
        Attention.Segment(
            firstRow: $0 * new, rows: new, prompt: shared, promptLength: prompt,
            own: block(prompt, n - prompt), ownLength: n - prompt)
    }
    let rows = copies * new, out = ones(rows * 48, rows: rows),
        queries = ones(rows * 48, rows: rows)
    for r in 0..<rows {
        queries.row(r).base.update(from: q.row(n - new + r % new).base, count: 48)
    }
    attention.decode(out, q: queries, segments: segments)
    for r in 0..<rows {
        #expect(out.row(r).doubles == whole.row(n - new + r % new).doubles)
    }
}
