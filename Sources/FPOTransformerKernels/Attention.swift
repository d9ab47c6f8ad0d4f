import CLanes
import FPOKernelTypes

typealias Rows = AttentionKernels.Rows
typealias Head = AttentionKernels.Head
typealias Cache = AttentionKernels.Cache
typealias Query = AttentionKernels.Query

extension Rows {
    @inline(__always)
    func left(_ row: Int) -> Left {
        Left(base: Input(base + row &* leadingDimension), row: leadingDimension, depth: 1)
    }
}

/// Panels of `n` columns.
@inline(__always)
func panels(_ n: Int, from first: Int = 0, _ body: (_ column: Int, _ width: Int) -> Void) {
    var j = first
    while j < n {
        body(j, n &- j < panelWidth ? n &- j : panelWidth)
        j &+= panelWidth
    }
}

/// `out[r, j] = scale Σ_d x[r, d] y[d, j]` for columns `first ..< last` rounded up to panels; `y`
/// and `out` have rows of `step` and `ldo`.
@inline(__always)
func scores(
    _ count: Int, _ depth: Int, _ x: Left, _ y: Input, _ step: Int, _ columns: Range<Int>,
    _ scale: Float, _ out: Output, _ ldo: Int
) {
    panels(columns.upperBound, from: columns.lowerBound) { j, _ in
        rows(
            count, depth, x, FloatPanel(base: y + j, step: step),
            Result(
                base: out + j, leadingDimension: ldo, width: panelWidth, resume: false,
                adding: false, scale: Pair(all(scale), all(scale))))
    }
}

/// `out[r, d] ← [out +] scale Σ_j p[r, j] v[j, d]`.
@inline(__always)
func mix(
    _ count: Int, _ depth: Int, _ p: Left, _ v: Input, _ ldv: Int, _ dimension: Int, _ out: Output,
    _ ldo: Int, scale: Float = 1, resume: Bool = false, adding: Bool
) {
    panels(dimension) { d, width in
        rows(
            count, depth, p, FloatPanel(base: v + d, step: ldv),
            Result(
                base: out + d, leadingDimension: ldo, width: width, resume: resume,
                adding: adding, scale: Pair(all(scale), all(scale))))
    }
}

/// `(D, padded(count))` from `(count, D)`; the padding is zero.
func transpose(_ count: Int, _ dimension: Int, _ x: Rows, _ out: Output) {
    let step = AttentionKernels.padded(count), ld = x.leadingDimension
    let whole = count & ~7, wide = dimension & ~7
    var j = 0
    while j < whole {
        var d = 0
        while d < wide {
            eight_turn_floats(
                Input(x.base + (j &* ld &+ d)), Int64(ld), out + (d &* step &+ j), Int64(step))
            d &+= 8
        }
        while d < dimension {
            for i in j..<j &+ 8 { out[d &* step &+ i] = x.base[i &* ld &+ d] }
            d &+= 1
        }
        j &+= 8
    }
    for d in 0..<dimension {
        for i in whole..<count { out[d &* step &+ i] = x.base[i &* ld &+ d] }
        for i in count..<step { out[d &* step &+ i] = 0 }
    }
}

/// How many rows a kernel takes at once: `wanted`, or what fits in scratch.
@inline(__always)
private func together(_ wanted: Int, _ elements: Int) -> Int {
    let fits = AttentionKernels.scratch / elements
    return fits < wanted ? (fits > 1 ? fits : 1) : wanted
}

func attend(
    _ head: Head, _ range: Range<Int>, _ q: Rows, _ keys: Input, _ values: Rows, _ out: Rows,
    _ scratch: Output
) {
    let step = AttentionKernels.padded(head.count)
    let height = together(tileRows, step)
    var i = range.lowerBound
    while i < range.upperBound {
        let count = range.upperBound &- i < height ? range.upperBound &- i : height
        let last = head.causal ? i &+ count : head.count
        scores(count, head.dimension, q.left(i), keys, step, 0..<last, head.scale, scratch, step)
        var inverse = InlineArray<12, Float>(repeating: 0)
        for r in 0..<count {
            let n = head.causal ? i &+ r &+ 1 : head.count
            let s = scratch + r &* step
            if let bias = head.bias { add(n, 1, bias + (i &+ r) &* head.count, s) }
            let top = greatest(n, Input(s), -.infinity)
            let total = weights(n, last, top, s)
            inverse[r] = 1 / total
            if let statistics = head.statistics {
                statistics[i &+ r] = top + logarithm(all(total))[0]
            }
        }
        let o = out.base + i &* out.leadingDimension
        mix(
            count, last, Left(base: Input(scratch), row: step, depth: 1), Input(values.base),
            values.leadingDimension, head.dimension, o, out.leadingDimension, adding: false)
        for r in 0..<count { multiply(head.dimension, inverse[r], o + r &* out.leadingDimension) }
        i &+= count
    }
}

@inline(__always)
private func multiply(_ n: Int, _ s: Float, _ x: Output) {
    update(n, Input(x), Input(x), Input(x), x) { x, _, _, _ in x * s }
}

/// Queries against a shared cache and their own.
func decode(
    _ dimension: Int, _ scale: Float, _ prompt: Cache?, _ shared: Int, _ count: Int,
    _ queries: UnsafePointer<Query>, _ scratch: Output
) {
    var first = 0
    while first < count {
        // As many as their rows fit in scratch: scores, then query and output.
        var longest = 0, n = 0
        let width = AttentionKernels.padded(dimension)
        while first &+ n < count {
            let own = queries[first &+ n].own
            let longer = own > longest ? own : longest
            let elements = AttentionKernels.padded(shared &+ longer) &+ panelWidth &+ 2 &* width
            if n > 0 && ((n &+ 1) &* elements > AttentionKernels.scratch || n == 24) { break }
            longest = longer
            n &+= 1
        }
        decodeSome(
            dimension, width, scale, prompt, shared, n, queries + first,
            AttentionKernels.padded(shared &+ longest) &+ panelWidth, scratch)
        first &+= n
    }
}

private func decodeSome(
    _ dimension: Int, _ width: Int, _ scale: Float, _ prompt: Cache?, _ shared: Int, _ n: Int,
    _ queries: UnsafePointer<Query>, _ step: Int, _ scratch: Output
) {
    let p = scratch, q = scratch + n &* step, out = q + n &* width
    for r in 0..<n {
        for d in 0..<dimension { q[r &* width &+ d] = queries[r].q[d] }
    }
    func left(_ r: Int) -> Left { Left(base: Input(q + r &* width), row: width, depth: 1) }
    if let prompt {
        scores(n, dimension, left(0), prompt.keys, prompt.capacity, 0..<shared, scale, p, step)
    }
    each(n, queries) { r, count, longest in
        let cache = queries[r].cache
        scores(
            count, dimension, left(r), cache.keys, cache.capacity, 0..<longest, scale,
            p + (r &* step &+ shared), step)
    }
    var inverse = InlineArray<24, Float>(repeating: 0)
    for r in 0..<n {
        let s = p + r &* step, keys = shared &+ queries[r].own
        inverse[r] = 1 / weights(keys, step, greatest(keys, Input(s), -.infinity), s)
    }
    func weightsFrom(_ r: Int, _ j: Int) -> Left {
        Left(base: Input(p + (r &* step &+ j)), row: step, depth: 1)
    }
    if let prompt {
        mix(
            n, shared, weightsFrom(0, 0), prompt.values, dimension, width, out, width,
            adding: false)
    }
    each(n, queries) { r, count, longest in
        mix(
            count, longest, weightsFrom(r, shared), queries[r].cache.values, dimension, width,
            out + r &* width, width, resume: prompt != nil, adding: false)
    }
    for r in 0..<n {
        let o = out + r &* width
        for d in 0..<dimension { queries[r].out[d] = o[d] * inverse[r] }
    }
}

/// Runs of neighbours with one cache, with the most keys of it that one sees.
@inline(__always)
private func each(
    _ n: Int, _ queries: UnsafePointer<Query>, _ body: (_ first: Int, _ count: Int, Int) -> Void
) {
    var r = 0
    while r < n {
        var end = r, longest = 0
        while end < n && queries[end].cache.keys == queries[r].cache.keys {
            if queries[end].own > longest { longest = queries[end].own }
            end &+= 1
        }
        body(r, end &- r, longest)
        r = end
    }
}
