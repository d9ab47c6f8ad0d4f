// Matrix-vector passes of many small networks at once, one network to a lane. `w` is (O, I).

private let block = 8
private typealias Block = InlineArray<8, Lanes>

/// `row(o, Σᵢ w[o, i] x[i])` for each row `o`.
@inline(__always)
func forEachRow(
    _ w: LanePointer, _ O: Int, _ I: Int, _ x: LanePointer, _ row: (Int, Lanes) -> Void
) {
    var o = 0
    while o &+ block <= O {
        var sums = Block(repeating: .zero)
        let w = w + o &* I
        for i in 0..<I {
            let xi = x[i]
            for k in 0..<block { sums[k] = fma(w[k &* I &+ i], xi, sums[k]) }
        }
        for k in 0..<block { row(o &+ k, sums[k]) }
        o &+= block
    }
    while o < O {
        var sum = Lanes.zero
        let w = w + o &* I
        for i in 0..<I { sum = fma(w[i], x[i], sum) }
        row(o, sum)
        o &+= 1
    }
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

/// Both passes in one reading of `w`: `v = row(o, Σᵢ w[o, i] x[i])`, then `out[i] += v w[o, i]`.
@inline(__always)
func forEachRowAddTransposed(
    _ out: LanePointer, _ w: LanePointer, _ O: Int, _ I: Int, _ x: LanePointer,
    _ row: (Int, Lanes) -> Lanes
) {
    var o = 0
    while o &+ block <= O {
        var sums = Block(repeating: .zero)
        let w = w + o &* I
        for i in 0..<I {
            let xi = x[i]
            for k in 0..<block { sums[k] = fma(w[k &* I &+ i], xi, sums[k]) }
        }
        for k in 0..<block { sums[k] = row(o &+ k, sums[k]) }
        addBlock(out, w, I, sums)
        o &+= block
    }
    while o < O {
        var sum = Lanes.zero
        let w = w + o &* I
        for i in 0..<I { sum = fma(w[i], x[i], sum) }
        let v = row(o, sum)
        for i in 0..<I { out[i] = fma(w[i], v, out[i]) }
        o &+= 1
    }
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

/// Tiles of the passes over samples: 4 rows by 2 samples keep 8 sums in registers.
private typealias Tile = InlineArray<8, Lanes>

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
        while s &+ 2 <= to {
            var sums = Tile(repeating: .zero)
            for i in 0..<I {
                let x0 = x[i &* stride &+ s], x1 = x[i &* stride &+ s &+ 1]
                for k in 0..<4 {
                    let wk = w[k &* rowStep &+ i &* columnStep]
                    sums[2 &* k] = fma(wk, x0, sums[2 &* k])
                    sums[2 &* k &+ 1] = fma(wk, x1, sums[2 &* k &+ 1])
                }
            }
            for k in 0..<4 {
                emit(o &+ k, s, sums[2 &* k])
                emit(o &+ k, s &+ 1, sums[2 &* k &+ 1])
            }
            s &+= 2
        }
        if s < to {
            var sums = InlineArray<4, Lanes>(repeating: .zero)
            for i in 0..<I {
                let x0 = x[i &* stride &+ s]
                for k in 0..<4 {
                    sums[k] = fma(w[k &* rowStep &+ i &* columnStep], x0, sums[k])
                }
            }
            for k in 0..<4 { emit(o &+ k, s, sums[k]) }
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
        while i &+ 2 <= I {
            var sums = Tile(repeating: .zero)
            let b0 = b + i &* stride, b1 = b0 + stride
            for s in 0..<count {
                let x0 = b0[s], x1 = b1[s]
                for k in 0..<4 {
                    let ak = a[k &* stride &+ s]
                    sums[2 &* k] = fma(ak, x0, sums[2 &* k])
                    sums[2 &* k &+ 1] = fma(ak, x1, sums[2 &* k &+ 1])
                }
            }
            for k in 0..<4 {
                out[(o &+ k) &* I &+ i] = sums[2 &* k]
                out[(o &+ k) &* I &+ i &+ 1] = sums[2 &* k &+ 1]
            }
            i &+= 2
        }
        if i < I {
            for k in 0..<4 { out[(o &+ k) &* I &+ i] = dot(count, a + k &* stride, b + i &* stride) }
        }
        o &+= 4
    }
    while o < O {
        for i in 0..<I { out[o &* I &+ i] = dot(count, a + o &* stride, b + i &* stride) }
        o &+= 1
    }
}
