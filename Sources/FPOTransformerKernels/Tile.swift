import CLanes

// The inner product of everything here: a tile of R rows of x with a panel of two vectors of w,
// each sum one chain of fused multiply-adds over the depth, whatever R, level and thread. Sums of
// one element are therefore the same bits in a batch of 1 and of 1000, in decoding and in training.

/// Elements in a panel: two vectors.
let panelWidth = 2 * Lanes.scalarCount

/// Rows of a full tile: as many as the registers hold.
#if LEVEL_V4
    let tileRows = 12
#else
    let tileRows = 6
#endif

struct Pair {
    var low, high: Lanes
    @inline(__always) init(_ low: Lanes, _ high: Lanes) {
        self.low = low
        self.high = high
    }
    @inline(__always) init(_ p: UnsafePointer<Float>) {
        self.init(load(p), load(p + Lanes.scalarCount))
    }
    @inline(__always) static func + (a: Pair, b: Pair) -> Pair {
        Pair(a.low + b.low, a.high + b.high)
    }
    @inline(__always) static func * (a: Pair, b: Pair) -> Pair {
        Pair(a.low * b.low, a.high * b.high)
    }
}

@inline(__always)
func store(_ x: Pair, _ p: UnsafeMutablePointer<Float>) {
    store(x.low, p)
    store(x.high, p + Lanes.scalarCount)
}

/// The first `n` elements at `p`, and zeros.
@inline(__always)
func loadFirst(_ n: Int, _ p: UnsafePointer<Float>) -> Pair {
    let first = n < Lanes.scalarCount ? n : Lanes.scalarCount
    return Pair(
        lanes_load_first(p, Int64(first)), lanes_load_first(p + first, Int64(n &- first)))
}

/// The first `n` elements to `p`.
@inline(__always)
func storeFirst(_ n: Int, _ x: Pair, _ p: UnsafeMutablePointer<Float>) {
    let first = n < Lanes.scalarCount ? n : Lanes.scalarCount
    lanes_store_first(x.low, p, Int64(first))
    lanes_store_first(x.high, p + first, Int64(n &- first))
}

/// The panels that a tile may read.
protocol Panel {
    /// The panel's elements at depth `k`.
    func callAsFunction(_ k: Int) -> Pair
    /// Where the panel starts, and how far depths are apart in memory; 0 bytes if nothing follows
    /// that is worth fetching ahead.
    var start: UnsafeRawPointer { get }
    static var bytesPerDepth: Int { get }
}

/// Floats, `step` elements from one depth to the next.
struct FloatPanel: Panel {
    let base: UnsafePointer<Float>
    let step: Int
    @inline(__always) func callAsFunction(_ k: Int) -> Pair { Pair(base + k &* step) }
    @inline(__always) var start: UnsafeRawPointer { UnsafeRawPointer(base) }
    @inline(__always) static var bytesPerDepth: Int { 0 }
}

/// Floats of a packed matrix, one depth after the other.
struct PackedFloats: Panel {
    let base: UnsafePointer<Float>
    @inline(__always) func callAsFunction(_ k: Int) -> Pair { Pair(base + k &* panelWidth) }
    @inline(__always) var start: UnsafeRawPointer { UnsafeRawPointer(base) }
    @inline(__always) static var bytesPerDepth: Int { 4 * panelWidth }
}

/// bfloat16, one depth after the other; the two vectors' elements alternate, which makes widening
/// one shift and one mask.
struct PackedHalves: Panel {
    let base: UnsafePointer<UInt16>
    @inline(__always) func callAsFunction(_ k: Int) -> Pair {
        let p = base + k &* panelWidth
        return Pair(lanes_even_halves(p), lanes_odd_halves(p))
    }
    @inline(__always) var start: UnsafeRawPointer { UnsafeRawPointer(base) }
    @inline(__always) static var bytesPerDepth: Int { 2 * panelWidth }
}

/// Bytes, one depth after the other; sums are scaled at their end.
struct PackedBytes: Panel {
    let base: UnsafePointer<Int8>
    @inline(__always) func callAsFunction(_ k: Int) -> Pair {
        let p = base + k &* panelWidth
        return Pair(lanes_from_bytes(p), lanes_from_bytes(p + Lanes.scalarCount))
    }
    @inline(__always) var start: UnsafeRawPointer { UnsafeRawPointer(base) }
    @inline(__always) static var bytesPerDepth: Int { panelWidth }
}

/// What a tile fetches into the cache while it computes: `step` bytes at each depth from `start`.
/// A lone tile runs at memory's speed and fetches 8 KB ahead in its own panel; several share the
/// fetching of the next panel.
private struct Ahead {
    let start: UnsafeRawPointer
    let step: Int

    @inline(__always)
    init<P: Panel>(tile: Int, of tiles: Int, _ depth: Int, _ panel: P) {
        if tiles == 1 {
            step = P.bytesPerDepth
            start = panel.start + 8192
        } else {
            step = (P.bytesPerDepth &+ tiles &- 1) / tiles
            start = panel.start + depth &* (P.bytesPerDepth &+ tile &* step)
        }
    }
}

/// The left operand: element `(row, depth)` at `base[row * row + depth * step]`.
struct Left {
    var base: UnsafePointer<Float>
    let row, depth: Int
}

/// What becomes of a tile's sums.
struct Result {
    let base: UnsafeMutablePointer<Float>
    let leadingDimension: Int
    /// Elements of a row that exist, at most `panelWidth`.
    let width: Int
    /// The sums start from what stands here, and go on.
    let resume: Bool
    /// The scaled sums are added to what stands here.
    let adding: Bool
    let scale: Pair
}

@inline(__always)
private func add<let R: Int>(
    _ c: inout InlineArray<R, Pair>, _ x: UnsafePointer<Float>, _ row: Int, _ w: Pair
) {
    for r in 0..<R {
        let v = all(x[r &* row])
        c[r].low = fma(v, w.low, c[r].low)
        c[r].high = fma(v, w.high, c[r].high)
    }
}

@inline(__always)
private func tile<let R: Int, P: Panel>(
    _ c: inout InlineArray<R, Pair>, _ depth: Int, _ x: Left, _ w: P, _ ahead: Ahead
) {
    var p = x.base
    var k = 0
    var fetch = ahead.start
    while k &+ 1 < depth {
        if P.bytesPerDepth > 0 {
            lanes_prefetch(fetch)
            if P.bytesPerDepth > 32 { lanes_prefetch(fetch + ahead.step) }
            #if LEVEL_V4
                if P.bytesPerDepth > 64 {
                    lanes_prefetch(fetch + 64)
                    lanes_prefetch(fetch + (ahead.step &+ 64))
                }
            #endif
            fetch += 2 &* ahead.step
        }
        add(&c, p, x.row, w(k))
        p += x.depth
        add(&c, p, x.row, w(k &+ 1))
        p += x.depth
        k &+= 2
    }
    if k < depth { add(&c, p, x.row, w(k)) }
}

@inline(__always)
private func run<let R: Int>(
    _ c: InlineArray<R, Pair>, _ depth: Int, _ x: Left, _ w: some Panel, _ out: Result,
    _ ahead: Ahead
) {
    var c = c
    if out.resume {
        for r in 0..<R {
            let p = out.base + r &* out.leadingDimension
            c[r] = out.width == panelWidth ? Pair(p) : loadFirst(out.width, p)
        }
    } else {
        // Rows of a wide result are far apart: without this, their lines are waited for at the end.
        for r in 0..<R { lanes_prefetch_write(out.base + r &* out.leadingDimension) }
    }
    tile(&c, depth, x, w, ahead)
    for r in 0..<R {
        let p = out.base + r &* out.leadingDimension
        let v = c[r] * out.scale
        if out.width == panelWidth {
            store(out.adding ? Pair(p) + v : v, p)
        } else {
            storeFirst(out.width, out.adding ? loadFirst(out.width, p) + v : v, p)
        }
    }
}

@inline(__always)
private func zeros<let R: Int>(_: InlineArray<R, Pair>.Type) -> InlineArray<R, Pair> {
    InlineArray(repeating: Pair(.zero, .zero))
}

/// `rows` rows of `x` times a panel, cut into tiles of nearly equal height.
@inline(__always)
func rows(_ rows: Int, _ depth: Int, _ x: Left, _ w: some Panel, _ out: Result) {
    let tiles = (rows &+ tileRows &- 1) / tileRows
    var r = 0, t = 0
    while t < tiles {
        let next = (t &+ 1) &* rows / tiles
        let left = Left(base: x.base + r &* x.row, row: x.row, depth: x.depth)
        let part = Result(
            base: out.base + r &* out.leadingDimension, leadingDimension: out.leadingDimension,
            width: out.width, resume: out.resume, adding: out.adding, scale: out.scale)
        let ahead = Ahead(tile: t, of: tiles, depth, w)
        switch next &- r {
        case 1: run(zeros(InlineArray<1, Pair>.self), depth, left, w, part, ahead)
        case 2: run(zeros(InlineArray<2, Pair>.self), depth, left, w, part, ahead)
        case 3: run(zeros(InlineArray<3, Pair>.self), depth, left, w, part, ahead)
        case 4: run(zeros(InlineArray<4, Pair>.self), depth, left, w, part, ahead)
        case 5: run(zeros(InlineArray<5, Pair>.self), depth, left, w, part, ahead)
        #if LEVEL_V4
            case 6: run(zeros(InlineArray<6, Pair>.self), depth, left, w, part, ahead)
            case 7: run(zeros(InlineArray<7, Pair>.self), depth, left, w, part, ahead)
            case 8: run(zeros(InlineArray<8, Pair>.self), depth, left, w, part, ahead)
            case 9: run(zeros(InlineArray<9, Pair>.self), depth, left, w, part, ahead)
            case 10: run(zeros(InlineArray<10, Pair>.self), depth, left, w, part, ahead)
            case 11: run(zeros(InlineArray<11, Pair>.self), depth, left, w, part, ahead)
            default: run(zeros(InlineArray<12, Pair>.self), depth, left, w, part, ahead)
        #else
            default: run(zeros(InlineArray<6, Pair>.self), depth, left, w, part, ahead)
        #endif
        }
        r = next
        t &+= 1
    }
}
