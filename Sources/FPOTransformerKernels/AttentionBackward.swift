import CLanes
import FPOKernelTypes

/// `p ← e^{s − l}` and `g ← p (g − δ)` along a row; zeros up to `padded`.
@inline(__always)
private func slopes(
    _ n: Int, _ padded: Int, _ s: Output, _ g: Output, statistic: Float, delta: Float
) {
    vectors(
        n,
        {
            let p = weight(load(Input(s + $0)) - statistic)
            store(p, s + $0)
            store(p * (load(Input(g + $0)) - delta), g + $0)
        },
        {
            let p = weight(loadFirst($1, Input(s + $0)) - statistic)
            storeFirst($1, p, s + $0)
            storeFirst($1, p * (loadFirst($1, Input(g + $0)) - delta), g + $0)
        })
    for i in n..<padded { (s[i], g[i]) = (0, 0) }
}

/// The same with a statistic and a `δ` for each element, from `first` on; zeros before it.
@inline(__always)
private func slopes(
    _ range: Range<Int>, _ n: Int, _ s: Output, _ g: Output, _ statistics: Input, _ delta: Input
) {
    for i in range { (s[i], g[i]) = (0, 0) }
    let from = range.upperBound
    let s = s + from, g = g + from, l = statistics + from, delta = delta + from
    vectors(
        n &- from,
        {
            let p = weight(load(Input(s + $0)) - load(l + $0))
            store(p, s + $0)
            store(p * (load(Input(g + $0)) - load(delta + $0)), g + $0)
        },
        {
            let p = weight(loadFirst($1, Input(s + $0)) - loadFirst($1, l + $0))
            storeFirst($1, p, s + $0)
            storeFirst(
                $1, p * (loadFirst($1, Input(g + $0)) - loadFirst($1, delta + $0)), g + $0)
        })
}

private func height(_ step: Int) -> Int {
    let fits = AttentionKernels.scratch / (2 &* step)
    return fits < tileRows ? (fits > 1 ? fits : 1) : tileRows
}

/// Rows of `dq`: the scores of a few queries with all keys.
func queryBackward(
    _ head: Head, _ range: Range<Int>, _ q: Rows, _ keys: Input, _ values: Input, _ k: Rows,
    _ out: Rows, _ dOut: Rows, _ dq: Rows, _ dBias: Output?, _ delta: Output, _ scratch: Output
) {
    let step = AttentionKernels.padded(head.count), D = head.dimension
    let height = height(step)
    var i = range.lowerBound
    while i < range.upperBound {
        let count = range.upperBound &- i < height ? range.upperBound &- i : height
        let last = head.causal ? i &+ count : head.count
        let s = scratch, g = scratch + height &* step
        scores(count, D, q.left(i), keys, step, 0..<last, head.scale, s, step)
        scores(count, D, dOut.left(i), values, step, 0..<last, 1, g, step)
        for r in 0..<count {
            let n = head.causal ? i &+ r &+ 1 : head.count, row = i &+ r
            let o = Input(out.base + row &* out.leadingDimension)
            let d = sum(D, o, Input(dOut.base + row &* dOut.leadingDimension), o) { o, d, _ in
                o * d
            }
            delta[row] = d
            if let bias = head.bias { add(n, 1, bias + row &* head.count, s + r &* step) }
            slopes(
                n, last, s + r &* step, g + r &* step, statistic: head.statistics![row], delta: d)
            if let dBias { add(n, 1, Input(g + r &* step), dBias + row &* head.count) }
        }
        mix(
            count, last, Left(base: Input(g), row: step, depth: 1), Input(k.base),
            k.leadingDimension, D, dq.base + i &* dq.leadingDimension, dq.leadingDimension,
            scale: head.scale, adding: true)
        i &+= count
    }
}

/// Rows of `dk` and `dv`: the scores of a few keys with all queries.
func keyBackward(
    _ head: Head, _ range: Range<Int>, _ k: Rows, _ v: Rows, _ queries: Input, _ dOuts: Input,
    _ q: Rows, _ dOut: Rows, _ dk: Rows, _ dv: Rows, _ delta: Input, _ scratch: Output
) {
    let step = AttentionKernels.padded(head.count), D = head.dimension, n = head.count
    let height = height(step)
    var j = range.lowerBound
    while j < range.upperBound {
        let count = range.upperBound &- j < height ? range.upperBound &- j : height
        // The first query that sees key j, from a panel's start.
        let first = head.causal ? j / panelWidth &* panelWidth : 0
        let s = scratch, g = scratch + height &* step
        scores(count, D, k.left(j), queries, step, first..<n, head.scale, s, step)
        scores(count, D, v.left(j), dOuts, step, first..<n, 1, g, step)
        for r in 0..<count {
            if let bias = head.bias {
                for i in first..<n { s[r &* step &+ i] += bias[i &* n &+ j &+ r] }
            }
            let seen = head.causal ? j &+ r : 0
            slopes(
                first..<seen, n, s + r &* step, g + r &* step, Input(head.statistics!), delta)
        }
        mix(
            count, n &- first, Left(base: Input(s + first), row: step, depth: 1),
            Input(dOut.base + first &* dOut.leadingDimension), dOut.leadingDimension, D,
            dv.base + j &* dv.leadingDimension, dv.leadingDimension, adding: true)
        mix(
            count, n &- first, Left(base: Input(g + first), row: step, depth: 1),
            Input(q.base + first &* q.leadingDimension), q.leadingDimension, D,
            dk.base + j &* dk.leadingDimension, dk.leadingDimension, scale: head.scale,
            adding: true)
        j &+= count
    }
}
