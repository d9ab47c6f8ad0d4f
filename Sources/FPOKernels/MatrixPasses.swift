// Matrix-vector passes of many small networks at once, one network to a lane. `w` is (O, I).

private let block = 8
private typealias Block = InlineArray<8, Lanes>

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
        let sum = dot(I, w + o &* I, x)
        z[o] = adding ? z[o] + sum : sum
        o &+= 1
    }
}

@inline(__always)
private func rowSums(_ w: LanePointer, _ I: Int, _ x: LanePointer) -> Block {
    var sums = Block { _ in .zero }
    for i in 0..<I {
        let xi = x[i]
        for k in 0..<block { sums[k] = fma(w[k &* I &+ i], xi, sums[k]) }
    }
    return sums
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
        let vo = v[o]
        let w = w + o &* I
        for i in 0..<I { out[i] = fma(w[i], vo, out[i]) }
        o &+= 1
    }
}

@inline(__always)
private func addBlock(_ out: LanePointer, _ w: LanePointer, _ I: Int, _ v: Block) {
    for i in 0..<I {
        var even = out[i], odd = Lanes.zero
        for k in 0..<block / 2 {
            even = fma(w[2 &* k &* I &+ i], v[2 &* k], even)
            odd = fma(w[(2 &* k &+ 1) &* I &+ i], v[2 &* k &+ 1], odd)
        }
        out[i] = even + odd
    }
}

/// Both passes in one reading of `w`: `z ← W x`, then `out ← out + Wᵀ v`. `fill(o, count)` makes
/// `v[o ..< o + count]` of the same part of `z`.
@inline(__always)
func multiplyThere(
    andBack out: LanePointer, _ v: LanePointer, _ z: LanePointer, _ w: LanePointer, _ O: Int,
    _ I: Int, _ x: LanePointer, _ fill: (Int, Int) -> Void
) {
    var o = 0
    while o &+ block <= O {
        let sums = rowSums(w + o &* I, I, x)
        for k in 0..<block { z[o &+ k] = sums[k] }
        fill(o, block)
        addBlock(out, w + o &* I, I, Block { v[o &+ $0] })
        o &+= block
    }
    while o < O {
        let row = w + o &* I
        z[o] = dot(I, row, x)
        fill(o, 1)
        for i in 0..<I { out[i] = fma(row[i], v[o], out[i]) }
        o &+= 1
    }
}

/// `h ← log(1 + e^(h + b))` and its slope `s`, of `count` units; two at a time, as one alone would
/// wait for itself.
@inline(__always)
func activate(_ h: LanePointer, _ s: LanePointer, _ count: Int, bias: (Int) -> Lanes) {
    var i = 0
    while i &+ 2 <= count {
        let first = softplusAndSigmoid(h[i] + bias(i))
        let second = softplusAndSigmoid(h[i &+ 1] + bias(i &+ 1))
        h[i] = first.softplus
        s[i] = first.sigmoid
        h[i &+ 1] = second.softplus
        s[i &+ 1] = second.sigmoid
        i &+= 2
    }
    if i < count { (h[i], s[i]) = softplusAndSigmoid(h[i] + bias(i)) }
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

/// Tiles of the passes over samples: 4 rows by 3 columns keep 12 sums in 16 registers.
private typealias Tile = InlineArray<12, Lanes>
private typealias Column = InlineArray<4, Lanes>
private let across = 3

/// `emit(o, s, Σᵢ w(o, i) x[i, s])` for rows `0 ..< O` and samples `from ..< to`, where `w(o, i)`
/// stands at `w[o rowStep + i columnStep]` and `x` has `stride` samples to a row.
@inline(__always)
func forEachSample(
    _ w: LanePointer, rowStep: Int, columnStep: Int, _ O: Int, _ I: Int,
    _ x: LanePointer, stride: Int, from: Int, to: Int, _ emit: (Int, Int, Lanes) -> Void
) {
    var o = 0
    while o &+ 4 <= O {
        let w = w + o &* rowStep
        var s = from
        while s &+ across <= to {
            var sums = Tile { _ in .zero }
            for i in 0..<I {
                let x = x + (i &* stride &+ s)
                let x0 = x[0], x1 = x[1], x2 = x[2]
                for k in 0..<4 {
                    let wk = w[k &* rowStep &+ i &* columnStep]
                    sums[3 &* k] = fma(wk, x0, sums[3 &* k])
                    sums[3 &* k &+ 1] = fma(wk, x1, sums[3 &* k &+ 1])
                    sums[3 &* k &+ 2] = fma(wk, x2, sums[3 &* k &+ 2])
                }
            }
            for k in 0..<4 {
                for c in 0..<across { emit(o &+ k, s &+ c, sums[across &* k &+ c]) }
            }
            s &+= across
        }
        while s < to {
            var sums = Column { _ in .zero }
            for i in 0..<I {
                let x0 = x[i &* stride &+ s]
                for k in 0..<4 {
                    sums[k] = fma(w[k &* rowStep &+ i &* columnStep], x0, sums[k])
                }
            }
            for k in 0..<4 { emit(o &+ k, s, sums[k]) }
            s &+= 1
        }
        o &+= 4
    }
    while o < O {
        let w = w + o &* rowStep
        for s in from..<to {
            var sum = Lanes.zero
            for i in 0..<I { sum = fma(w[i &* columnStep], x[i &* stride &+ s], sum) }
            emit(o, s, sum)
        }
        o &+= 1
    }
}

/// `out[o, i] = Σₛ a[o, s] b[i, s]` over `count` samples: a weight's gradient, or a Gram matrix.
@inline(__always)
func sampleProducts(
    _ out: LanePointer, _ O: Int, _ I: Int, _ a: LanePointer, _ b: LanePointer, stride: Int,
    count: Int
) {
    var o = 0
    while o &+ 4 <= O {
        let a = a + o &* stride
        var i = 0
        while i &+ across <= I {
            var sums = Tile { _ in .zero }
            let b = b + i &* stride
            for s in 0..<count {
                let x0 = b[s], x1 = b[stride &+ s], x2 = b[2 &* stride &+ s]
                for k in 0..<4 {
                    let ak = a[k &* stride &+ s]
                    sums[3 &* k] = fma(ak, x0, sums[3 &* k])
                    sums[3 &* k &+ 1] = fma(ak, x1, sums[3 &* k &+ 1])
                    sums[3 &* k &+ 2] = fma(ak, x2, sums[3 &* k &+ 2])
                }
            }
            for k in 0..<4 {
                for c in 0..<across { out[(o &+ k) &* I &+ i &+ c] = sums[across &* k &+ c] }
            }
            i &+= across
        }
        while i < I {
            var sums = Column { _ in .zero }
            let b = b + i &* stride
            for s in 0..<count {
                for k in 0..<4 { sums[k] = fma(a[k &* stride &+ s], b[s], sums[k]) }
            }
            for k in 0..<4 { out[(o &+ k) &* I &+ i] = sums[k] }
            i &+= 1
        }
        o &+= 4
    }
    while o < O {
        for i in 0..<I { out[o &* I &+ i] = dot(count, a + o &* stride, b + i &* stride) }
        o &+= 1
    }
}
