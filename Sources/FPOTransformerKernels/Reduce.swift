import CLanes

// Sums over a row in a fixed order: element i goes to partial sum i mod 32, and partial sums are
// added pairwise, so that every level gives the same bits.

/// Thirty-two partial sums.
struct Sums {
    #if LEVEL_V4
        private var a = Lanes.zero, b = Lanes.zero
        @inline(__always) init() {}
        @inline(__always) mutating func add(_ i: Int, _ x: Lanes) {
            if i & 16 == 0 { a += x } else { b += x }
        }
        @inline(__always) var total: Float { lanes_sum(a, b) }
    #else
        private var a = Lanes.zero, b = Lanes.zero, c = Lanes.zero, d = Lanes.zero
        @inline(__always) init() {}
        @inline(__always) mutating func add(_ i: Int, _ x: Lanes) {
            switch i & 24 {
            case 0: a += x
            case 8: b += x
            case 16: c += x
            default: d += x
            }
        }
        @inline(__always) var total: Float { lanes_sum(a, b, c, d) }
    #endif
}

/// Calls `whole` on the first element of each vector of a row of `n`, 32 elements at a time, then
/// `part` on that of the last, partial one with its count.
@inline(__always)
func vectors(_ n: Int, _ whole: (Int) -> Void, _ part: (_ first: Int, _ count: Int) -> Void) {
    var i = 0
    while i &+ 32 <= n {
        whole(i)
        whole(i &+ Lanes.scalarCount)
        #if LEVEL_V3
            whole(i &+ 16)
            whole(i &+ 24)
        #endif
        i &+= 32
    }
    while i &+ Lanes.scalarCount <= n {
        whole(i)
        i &+= Lanes.scalarCount
    }
    if i < n { part(i, n &- i) }
}

@inline(__always)
func loadFirst(_ n: Int, _ p: UnsafePointer<Float>) -> Lanes { lanes_load_first(p, Int64(n)) }

@inline(__always)
func storeFirst(_ n: Int, _ x: Lanes, _ p: UnsafeMutablePointer<Float>) {
    lanes_store_first(x, p, Int64(n))
}

/// `Σ term`, with zeros where there are no elements: `f` of zeros must be zero.
@inline(__always)
func sum(_ n: Int, _ x: Input, _ f: (Lanes) -> Lanes) -> Float {
    var sums = Sums()
    vectors(n, { sums.add($0, f(load(x + $0))) }, { sums.add($0, f(loadFirst($1, x + $0))) })
    return sums.total
}

/// `Σ f(x, y, z)`.
@inline(__always)
func sum(_ n: Int, _ x: Input, _ y: Input, _ z: Input, _ f: (Lanes, Lanes, Lanes) -> Lanes)
    -> Float
{
    var sums = Sums()
    vectors(
        n, { sums.add($0, f(load(x + $0), load(y + $0), load(z + $0))) },
        {
            sums.add(
                $0, f(loadFirst($1, x + $0), loadFirst($1, y + $0), loadFirst($1, z + $0)))
        })
    return sums.total
}

/// `out[i] = f(x[i], y[i], z[i], out[i])`.
@inline(__always)
func update(
    _ n: Int, _ x: Input, _ y: Input, _ z: Input, _ out: Output,
    _ f: (Lanes, Lanes, Lanes, Lanes) -> Lanes
) {
    vectors(
        n,
        { store(f(load(x + $0), load(y + $0), load(z + $0), load(Input(out + $0))), out + $0) },
        {
            storeFirst(
                $1,
                f(
                    loadFirst($1, x + $0), loadFirst($1, y + $0), loadFirst($1, z + $0),
                    loadFirst($1, Input(out + $0))), out + $0)
        })
}
