// Matrix-vector passes of many small networks at once, one network to a lane.
//
// A weight (O, I) lies in memory in blocks of 8 rows, the last of which may be lower; a block holds
// its columns one after the other. So a pass reads it from front to back, in either direction of
// the product.

private let block = 8
private typealias Block = InlineArray<8, Lanes>

/// Where element (o, i) of a weight (O, I) lies.
@inline(__always)
func place(_ o: Int, _ i: Int, _ O: Int, _ I: Int) -> Int {
    let first = o & ~(block &- 1)
    return first &* I &+ i &* min(block, O &- first) &+ (o &- first)
}

/// `z ← W x`, or with `adding` `z ← z + W x`.
@inline(__always)
func multiply(
    _ z: LanePointer, _ w: LanePointer, _ O: Int, _ I: Int, _ x: LanePointer, adding: Bool = false
) {
    var o = 0
    while o &+ block <= O {
        let sums = rowSums(w + o &* I, I, x)
        for k in 0..<block { z[o &+ k] = adding ? z[o &+ k] + sums[k] : sums[k] }
        o &+= block
    }
    while o < O {
        let sum = rowSum(w + place(o, 0, O, I), step: O % block, I, x)
        z[o] = adding ? z[o] + sum : sum
        o &+= 1
    }
}

@inline(__always)
private func rowSums(_ w: LanePointer, _ I: Int, _ x: LanePointer) -> Block {
    var sums = Block { _ in .zero }
    for i in 0..<I {
        let xi = x[i]
        for k in 0..<block { sums[k] = fma(w[block &* i &+ k], xi, sums[k]) }
    }
    return sums
}

/// One row of a low block.
@inline(__always)
private func rowSum(_ w: LanePointer, step: Int, _ I: Int, _ x: LanePointer) -> Lanes {
    var sum = Lanes.zero
    for i in 0..<I { sum = fma(w[step &* i], x[i], sum) }
    return sum
}

/// `out[i] += Σₒ v[o] w[o, i]`.
@inline(__always)
func addTransposed(
    _ out: LanePointer, _ w: LanePointer, _ O: Int, _ I: Int, _ v: LanePointer
) {
    var o = 0
    while o &+ block <= O {
        addBlock(out, w + o &* I, I, Block { v[o &+ $0] })
        o &+= block
    }
    while o < O {
        addRow(out, w + place(o, 0, O, I), step: O % block, I, v[o])
        o &+= 1
    }
}

@inline(__always)
private func addBlock(_ out: LanePointer, _ w: LanePointer, _ I: Int, _ v: Block) {
    for i in 0..<I {
        var even = out[i], odd = Lanes.zero
        for k in 0..<block / 2 {
            even = fma(w[block &* i &+ 2 &* k], v[2 &* k], even)
            odd = fma(w[block &* i &+ 2 &* k &+ 1], v[2 &* k &+ 1], odd)
        }
        out[i] = even + odd
    }
}

@inline(__always)
private func addRow(_ out: LanePointer, _ w: LanePointer, step: Int, _ I: Int, _ v: Lanes) {
    for i in 0..<I { out[i] = fma(w[step &* i], v, out[i]) }
}

/// Both passes in one reading of `w`: `z ← W x`, then `out ← out + Wᵀ v`. `fill(o, count)` makes
/// `v[o ..< o + count]` of the same part of `z`. Two such passes over one weight, the second of
/// them `backwards`, meet in the nearest cache.
@inline(__always)
func multiplyThere(
    andBack out: LanePointer, _ v: LanePointer, _ z: LanePointer, _ w: LanePointer, _ O: Int,
    _ I: Int, _ x: LanePointer, backwards: Bool = false, _ fill: (Int, Int) -> Void
) {
    let blocks = O / block
    for b in 0..<blocks {
        let o = (backwards ? blocks &- 1 &- b : b) &* block
        let sums = rowSums(w + o &* I, I, x)
        for k in 0..<block { z[o &+ k] = sums[k] }
        fill(o, block)
        addBlock(out, w + o &* I, I, Block { v[o &+ $0] })
    }
    for o in blocks &* block..<max(O, blocks &* block) {
        let row = w + place(o, 0, O, I)
        z[o] = rowSum(row, step: O % block, I, x)
        fill(o, 1)
        addRow(out, row, step: O % block, I, v[o])
    }
}

/// `h ← log(1 + e^(h + b))` and its slope `s`, of `count` units. In two loops, since one alone is so
/// long a chain that the processor cannot see far enough into the next unit's.
@inline(__always)
func activate(_ h: LanePointer, _ s: LanePointer, _ count: Int, bias: (Int) -> Lanes) {
    for i in 0..<count {
        h[i] += bias(i)
        s[i] = decay(h[i])
    }
    for i in 0..<count { (h[i], s[i]) = softplusAndSigmoid(h[i], decayed: s[i]) }
}

/// `Σᵢ a[i] b[i]`.
@inline(__always)
func dot(_ n: Int, _ a: LanePointer, _ b: LanePointer) -> Lanes {
    var even = Lanes.zero, odd = Lanes.zero
    var i = 0
    while i &+ 2 <= n {
        even = fma(a[i], b[i], even)
        odd = fma(a[i &+ 1], b[i &+ 1], odd)
        i &+= 2
    }
    if i < n { even = fma(a[i], b[i], even) }
    return even + odd
}

@inline(__always)
func fill(_ p: LanePointer, _ n: Int, _ value: Element = 0) {
    for i in 0..<n { p[i] = all(value) }
}

// MARK: Samples

/// A factor of many products: row `r` and place `i` of the sum stand at `r across + i along`.
struct Factor {
    let base: LanePointer
    let across, along: Int

    @inline(__always)
    init(_ base: LanePointer, across: Int, along: Int) {
        (self.base, self.across, self.along) = (base, across, along)
    }
}

/// Twelve sums in 16 registers: 4 rows by 3 columns, or what is left of them.
private typealias Tile = InlineArray<12, Lanes>

/// `emit(r, c, Σᵢ a(r, i) b(c, i))` for `rows` rows of `a` and a range of rows of `b`, called its
/// columns, over `depth` terms. These may lie in several `runs`, `jump.a` and `jump.b` apart.
@inline(__always)
func forEachProduct(
    _ a: Factor, _ rows: Int, _ b: Factor, _ columns: Range<Int>, depth: Int, runs: Int = 1,
    jump: (a: Int, b: Int) = (0, 0), _ emit: (Int, Int, Lanes) -> Void
) {
    @inline(__always) func tile(_ r: Int, _ height: Int, _ c: Int, _ width: Int) {
        var sums = Tile { _ in .zero }
        for run in 0..<runs {
            let a0 = a.base + (r &* a.across &+ run &* jump.a)
            let b0 = b.base + (c &* b.across &+ run &* jump.b)
            for i in 0..<depth {
                let x0 = b0[i &* b.along]
                let x1 = width > 1 ? b0[b.across &+ i &* b.along] : x0
                let x2 = width > 2 ? b0[2 &* b.across &+ i &* b.along] : x0
                for k in 0..<height {
                    let ak = a0[k &* a.across &+ i &* a.along]
                    sums[3 &* k] = fma(ak, x0, sums[3 &* k])
                    if width > 1 { sums[3 &* k &+ 1] = fma(ak, x1, sums[3 &* k &+ 1]) }
                    if width > 2 { sums[3 &* k &+ 2] = fma(ak, x2, sums[3 &* k &+ 2]) }
                }
            }
        }
        for k in 0..<height { for m in 0..<width { emit(r &+ k, c &+ m, sums[3 &* k &+ m]) } }
    }
    @inline(__always) func stripe(_ r: Int, _ height: Int) {
        var c = columns.lowerBound
        let end = columns.upperBound
        while end &- c == 3 || end &- c > 4 {
            tile(r, height, c, 3)
            c &+= 3
        }
        while end &- c >= 2 {
            tile(r, height, c, 2)
            c &+= 2
        }
        if c < end { tile(r, height, c, 1) }
    }
    var r = 0
    while r &+ 4 <= rows {
        stripe(r, 4)
        r &+= 4
    }
    while r < rows {
        stripe(r, 1)
        r &+= 1
    }
}

/// `emit(o, s, (W x)(o, s))` for samples `from ..< to` of `x`, which has `stride` to a row.
@inline(__always)
func forEachSample(
    _ w: LanePointer, _ O: Int, _ I: Int, _ x: LanePointer, stride: Int, _ samples: Range<Int>,
    _ emit: (Int, Int, Lanes) -> Void
) {
    var o = 0
    while o < O {
        let height = min(block, O &- o)
        forEachProduct(
            Factor(w + o &* I, across: 1, along: height), height,
            Factor(x, across: 1, along: stride), samples, depth: I
        ) { emit(o &+ $0, $1, $2) }
        o &+= height
    }
}

/// The same for `Wᵀ x`.
@inline(__always)
func forEachSampleTransposed(
    _ w: LanePointer, _ O: Int, _ I: Int, _ x: LanePointer, stride: Int, _ samples: Range<Int>,
    _ emit: (Int, Int, Lanes) -> Void
) {
    let whole = O / block, rest = O % block
    forEachProduct(
        Factor(w, across: block, along: 1), I, Factor(x, across: 1, along: stride), samples,
        depth: block, runs: whole, jump: (block &* I, block &* stride)
    ) { i, s, product in
        var sum = product
        for o in whole &* block..<whole &* block &+ rest {
            sum = fma(w[place(o, i, O, I)], x[o &* stride &+ s], sum)
        }
        emit(i, s, sum)
    }
}

/// The gradient `out(o, i) = Σₛ a[o, s] b[i, s]` of a weight (O, I) over `count` samples.
@inline(__always)
func sampleProducts(
    _ out: LanePointer, _ O: Int, _ I: Int, _ a: LanePointer, _ b: LanePointer, stride: Int,
    count: Int
) {
    var o = 0
    while o < O {
        let height = min(block, O &- o)
        forEachProduct(
            Factor(a + o &* stride, across: stride, along: 1), height,
            Factor(b, across: stride, along: 1), 0..<I, depth: count
        ) { out[o &* I &+ $1 &* height &+ $0] = $2 }
        o &+= height
    }
}
