import CLanes
import FPOKernelTypes

/// The greatest of `n` elements and `start`.
@inline(__always)
func greatest(_ n: Int, _ x: Input, _ start: Float) -> Float {
    var a = all(start), b = a
    vectors(
        n,
        {
            if $0 & Lanes.scalarCount == 0 {
                a = lanes_greater(a, load(x + $0))
            } else {
                b = lanes_greater(b, load(x + $0))
            }
        },
        { first, count in for i in first..<first &+ count { if x[i] > a[0] { a[0] = x[i] } } })
    return lanes_greatest(lanes_greater(a, b))
}

/// Replaces `n` elements by `e^{x − top}`, and those up to `padded` by zeros. Returns the sum.
@inline(__always)
func weights(_ n: Int, _ padded: Int, _ top: Float, _ x: Output) -> Float {
    var sums = Sums()
    vectors(
        n,
        {
            let w = weight(load(Input(x + $0)) - top)
            store(w, x + $0)
            sums.add($0, w)
        },
        { first, count in
            var w = weight(loadFirst(count, Input(x + first)) - top)
            for i in count..<Lanes.scalarCount { w[i] = 0 }
            storeFirst(count, w, x + first)
            sums.add(first, w)
        })
    for i in n..<padded { x[i] = 0 }
    return sums.total
}

/// `states` of `CrossEntropy`.
func accumulate(_ n: Int, _ z: Input, _ state: Output) -> Int {
    let old = state[0]
    let top = greatest(n, z, old)
    var sums = Sums(), weighted = Sums()
    vectors(
        n,
        {
            let x = load(z + $0) - top, w = weight(x)
            sums.add($0, w)
            weighted.add($0, w * select(x, lessThan: -87, all(0), else: x))
        },
        { first, count in
            var x = loadFirst(count, z + first) - top, w = weight(x)
            for i in count..<Lanes.scalarCount {
                x[i] = 0
                w[i] = 0
            }
            sums.add(first, w)
            weighted.add(first, w * select(x, lessThan: -87, all(0), else: x))
        })
    if old == top || old == -.infinity {
        state[1] += sums.total
        state[2] += weighted.total
    } else {
        // Σ (z − top) e^{z − top} of what came before, from that relative to the old greatest.
        let step = old - top, shrink = weight(all(step))[0]
        state[2] = (state[2] + step * state[1]) * shrink + weighted.total
        state[1] = state[1] * shrink + sums.total
    }
    state[0] = top
    guard top > old else { return -1 }
    var i = 0
    while i &+ Lanes.scalarCount <= n && lanes_greatest(load(z + i)) < top {
        i &+= Lanes.scalarCount
    }
    while i < n && z[i] != top { i &+= 1 }
    return i < n ? i : -1
}

func scaledExponential(_ n: Int, _ c: Float, _ l: Float, _ z: Output) {
    update(n, Input(z), Input(z), Input(z), z) { z, _, _, _ in weight(z - l) * c }
}
