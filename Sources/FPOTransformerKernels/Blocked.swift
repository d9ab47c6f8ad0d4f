import CLanes
import FPOKernelTypes

// Products whose right factor is put into a panel first, some depths at a time.

/// Depths in a panel, and rows whose sums wait between panels. Both fit in the scratch memory of
/// TransformerKernels.scratch elements.
private let panelDepth = 256
private let waitingRows = 192
/// Columns whose sums wait apart.
private let waitingColumns = 32
/// Elements between rows that are copied.
private let farApart = 8192

/// Depths are rows of W here: blocks of its panels are turned over. Blocks of a wide dy are copied
/// first: its rows would push each other out of the caches.
func multiplyTransposed(
    _ w: Packed, _ first: Int, _ outputs: Int, _ part: Part, _ dy: Input, _ lddy: Int,
    _ dx: Output, _ lddx: Int, _ adding: Bool, _ scratch: Output
) {
    let x = scratch, panel = x + waitingRows &* panelDepth
    let sums = panel + panelDepth &* panelWidth
    let copies = lddy >= farApart
    var i = part.rows.lowerBound
    while i < part.rows.upperBound {
        let left = part.rows.upperBound &- i
        let count = left < waitingRows ? left : waitingRows
        var c = part.columns.lowerBound
        while c < part.columns.upperBound {
            // Sums wait in dx; what is to be added to it waits apart, a few columns at a time.
            let end =
                adding && part.columns.upperBound &- c > waitingColumns
                ? c &+ waitingColumns : part.columns.upperBound
            let panels = (end &- c &+ panelWidth &- 1) / panelWidth
            var k = 0
            repeat {
                let depth = outputs &- k < panelDepth ? outputs &- k : panelDepth
                let rest = outputs &- k &- depth
                let from = dy + (i &* lddy &+ k)
                if copies { copy(count, depth, from, lddy, x) }
                let block = copies ? Input(x) : from, row = copies ? panelDepth : lddy
                let rowsAhead = Block(
                    start: UnsafeRawPointer(from + depth), step: lddy &* 4,
                    rows: copies ? count : 0,
                    bytes: (rest < panelDepth ? rest : panelDepth) &* 4)
                for p in 0..<panels {
                    let j = c &+ p &* panelWidth
                    let width = end &- j < panelWidth ? end &- j : panelWidth
                    turn(w, first &+ k, depth, j, width, panel)
                    let panelsAhead = w.block(
                        first &+ k &+ depth, rest < panelDepth ? rest : panelDepth, j)
                    let out = Result(
                        base: adding ? sums + (j &- c) : dx + (i &* lddx &+ j),
                        leadingDimension: adding ? waitingColumns : lddx,
                        width: adding ? panelWidth : width, resume: k > 0, adding: false,
                        scale: Pair(all(1), all(1)))
                    eachTile(count, out) { t, tiles, r, height, out in
                        rowsAhead.fetch(p &* tiles &+ t, of: panels &* tiles)
                        panelsAhead.fetch(t, of: tiles)
                        rows(
                            height, depth, Left(base: block + r &* row, row: row, depth: 1),
                            FloatPanel(base: Input(panel), step: panelWidth), out)
                    }
                }
                k &+= depth
            } while k < outputs
            if adding {
                for r in 0..<count {
                    add(
                        end &- c, 1, Input(sums + r &* waitingColumns),
                        dx + ((i &+ r) &* lddx &+ c))
                }
            }
            c = end
        }
        i &+= count
    }
}

/// The tiles that `rows` makes of `count` rows, one at a time.
@inline(__always)
private func eachTile(
    _ count: Int, _ out: Result,
    _ body: (_ tile: Int, _ tiles: Int, _ row: Int, _ height: Int, Result) -> Void
) {
    let tiles = (count &+ tileRows &- 1) / tileRows
    var r = 0
    for t in 0..<tiles {
        let next = (t &+ 1) &* count / tiles
        let part = Result(
            base: out.base + r &* out.leadingDimension, leadingDimension: out.leadingDimension,
            width: out.width, resume: out.resume, adding: out.adding, scale: out.scale)
        body(t, tiles, r, next &- r, part)
        r = next
    }
}

private func copy(_ rows: Int, _ depth: Int, _ x: Input, _ ldx: Int, _ out: Output) {
    for r in 0..<rows {
        let from = x + r &* ldx, to = out + r &* panelDepth
        vectors(
            depth, { store(load(from + $0), to + $0) },
            { storeFirst($1, loadFirst($1, from + $0) as Lanes, to + $0) })
    }
}

/// Memory that is needed soon: `rows` times `bytes`, `step` bytes apart.
private struct Block {
    let start: UnsafeRawPointer
    let step, rows, bytes: Int

    /// Fetches a part of the lines into the cache.
    @inline(__always)
    func fetch(_ part: Int, of parts: Int) {
        let lines = (bytes &+ 63) &>> 6
        guard lines > 0 else { return }
        let first = part &* rows &* lines / parts, last = (part &+ 1) &* rows &* lines / parts
        var line = first % lines, p = start + first / lines &* step
        for _ in first..<last {
            lanes_prefetch(p + line &* 64)
            line &+= 1
            if line == lines {
                line = 0
                p += step
            }
        }
    }
}

extension Packed {
    /// A panel's width of columns from `column` on, of rows `row ..< row + count`.
    fileprivate func block(_ row: Int, _ count: Int, _ column: Int) -> Block {
        let size = storage == 0 ? 4 : storage == 1 ? 2 : 1
        return Block(
            start: UnsafeRawPointer(memory)
                + (row / panelWidth &* columns &+ column) &* panelWidth &* size,
            step: columns &* panelWidth &* size, rows: (count &+ panelWidth &- 1) / panelWidth,
            bytes: panelWidth &* panelWidth &* size)
    }
}

extension Factor {
    /// Rows `row ..< row + count` at depths `depth ..< depth + depths`.
    fileprivate func block(_ row: Int, _ count: Int, _ depth: Int, _ depths: Int) -> Block {
        let lies = self.row == 1
        return Block(
            start: UnsafeRawPointer(base + (row &* self.row &+ depth &* self.depth)),
            step: (lies ? self.depth : self.row) &* 4, rows: lies ? depths : count,
            bytes: (lies ? count : depths) &* 4)
    }
}

/// Rows `row ..< row + count` of columns `column ..< column + width` of W to a panel; `row` starts
/// a panel of W.
private func turn(
    _ w: Packed, _ row: Int, _ count: Int, _ column: Int, _ width: Int, _ out: Output
) {
    let step = Int64(panelWidth)
    var r = 0
    while r < count {
        var c = 0
        while c < width {
            let to = out + (r &* panelWidth &+ c)
            if c &+ 8 <= width {
                let from = w.index(row &+ r, column &+ c)
                switch w.storage {
                case 0:
                    eight_turn_floats(
                        w.memory.assumingMemoryBound(to: Float.self) + from, step, to, step)
                case 1:
                    eight_turn_halves(
                        w.memory.assumingMemoryBound(to: UInt16.self) + (from & ~1), step,
                        Int64(from & 1), to, step)
                default:
                    eight_turn_bytes(
                        w.memory.assumingMemoryBound(to: Int8.self) + from, step,
                        w.scales + (row &+ r), to, step)
                }
            } else {
                for j in 0..<8 {
                    for i in 0..<width &- c {
                        to[j &* panelWidth &+ i] = element(w, row &+ r &+ j, column &+ c &+ i)
                    }
                }
            }
            c &+= 8
        }
        r &+= 8
    }
}

private func element(_ w: Packed, _ row: Int, _ column: Int) -> Float {
    let at = w.index(row, column)
    return switch w.storage {
    case 0: w.memory.assumingMemoryBound(to: Float.self)[at]
    case 1:
        Float(
            bitPattern: UInt32(w.memory.assumingMemoryBound(to: UInt16.self)[at]) &<< 16)
    default: Float(w.memory.assumingMemoryBound(to: Int8.self)[at]) * w.scales[row]
    }
}

/// The standard library's own would leave a symbol that all CPU levels share.
@inline(__always)
private func lesser(_ a: Int, _ b: Int) -> Int { a < b ? a : b }

/// How `product` cuts its factors, for what it keeps in scratch memory: a panel of b; of an `a` whose
/// rows are not contiguous, a block in the order in which tiles read it; and sums that wait for the
/// next depths.
private struct Blocking {
    let rows, depth, columns: Int
    let copies: Bool

    init(_ a: Factor) {
        copies = a.depth != 1
        rows = copies ? 96 : 192
        depth = copies ? 256 : 512
        let room =
            TransformerKernels.scratch &- depth &* panelWidth &- (copies ? rows &* depth : 0)
        columns = room / rows / panelWidth &* panelWidth
    }
}

/// `c ← [c +] alpha a bᵀ`.
func product(
    _ part: Part, _ depth: Int, _ alpha: Float, _ a: Factor, _ b: Factor, _ c: Output, _ ldc: Int,
    _ adding: Bool, _ scratch: Output
) {
    let size = Blocking(a)
    let panel = scratch, block = panel + size.depth &* panelWidth
    let sums = size.copies ? block + size.rows &* size.depth : block
    let waits = depth > size.depth, ones = Pair(all(1), all(1))
    var i = part.rows.lowerBound
    while i < part.rows.upperBound {
        let height = lesser(part.rows.upperBound &- i, size.rows)
        var first = part.columns.lowerBound
        while first < part.columns.upperBound {
            let end = lesser(part.columns.upperBound, first &+ size.columns)
            var k = 0
            repeat {
                let count = lesser(depth &- k, size.depth)
                let from = a.base + (i &* a.row &+ k &* a.depth)
                if size.copies { copyTiles(height, count, from, a, block) }
                var j = first
                while j < end {
                    let width = lesser(end &- j, panelWidth)
                    gather(b, j, width, k, count, panel)
                    let right = FloatPanel(base: Input(panel), step: panelWidth)
                    let next = j &+ panelWidth
                    let ahead =
                        next < end
                        ? b.block(next, lesser(end &- next, panelWidth), k, count)
                        : b.block(
                            first, lesser(end &- first, panelWidth), k &+ count,
                            lesser(depth &- k &- count, size.depth))
                    let out = Result(
                        base: waits ? sums + (j &- first) : c + (i &* ldc &+ j),
                        leadingDimension: waits ? size.columns : ldc,
                        width: waits ? panelWidth : width, resume: waits && k > 0,
                        adding: !waits && adding,
                        scale: waits ? ones : Pair(all(alpha), all(alpha)))
                    eachTile(height, out) { t, tiles, r, tall, out in
                        ahead.fetch(t, of: tiles)
                        let left =
                            size.copies
                            ? Left(base: block + r &* count, row: 1, depth: tall)
                            : Left(base: from + r &* a.row, row: a.row, depth: 1)
                        rows(tall, count, left, right, out)
                    }
                    j = next
                }
                k &+= count
            } while k < depth
            if waits {
                finish(
                    height, end &- first, sums, size.columns, alpha, c + (i &* ldc &+ first), ldc,
                    adding)
            }
            first = end
        }
        i &+= height
    }
}

/// Rows of a factor tile by tile, in each all rows of a depth side by side.
private func copyTiles(_ count: Int, _ depth: Int, _ from: Input, _ a: Factor, _ out: Output) {
    if a.row == 1 {
        copyTiles(count, depth, out) { from[$0 &+ $1 &* a.depth] }
    } else {
        copyTiles(count, depth, out) { from[$0 &* a.row &+ $1 &* a.depth] }
    }
}

@inline(__always)
private func copyTiles(
    _ count: Int, _ depth: Int, _ out: Output, _ element: (_ row: Int, _ depth: Int) -> Float
) {
    let tiles = (count &+ tileRows &- 1) / tileRows
    if count == tiles &* tileRows {
        for k in 0..<depth {
            var r = 0
            while r < count {
                let to = out + (r &* depth &+ k &* tileRows)
                for i in 0..<tileRows { to[i] = element(r &+ i, k) }
                r &+= tileRows
            }
        }
        return
    }
    var r = 0
    for t in 0..<tiles {
        let next = (t &+ 1) &* count / tiles, tall = next &- r
        let to = out + r &* depth
        for k in 0..<depth {
            for i in 0..<tall { to[k &* tall &+ i] = element(r &+ i, k) }
        }
        r = next
    }
}

/// Writes sums that waited.
private func finish(
    _ height: Int, _ columns: Int, _ sums: Input, _ lds: Int, _ alpha: Float, _ c: Output,
    _ ldc: Int, _ adding: Bool
) {
    let scale = all(alpha)
    for r in 0..<height {
        let from = sums + r &* lds, to = c + r &* ldc
        vectors(
            columns,
            {
                let v = load(from + $0) * scale
                store(adding ? load(to + $0) + v : v, to + $0)
            },
            {
                let v = loadFirst($1, from + $0) as Lanes * scale
                storeFirst($1, adding ? loadFirst($1, to + $0) + v : v, to + $0)
            })
    }
}

/// Rows `row ..< row + width` and depths `first ..< first + count` of a factor to a panel.
private func gather(
    _ b: Factor, _ row: Int, _ width: Int, _ first: Int, _ count: Int, _ out: Output
) {
    let from = b.base + (row &* b.row &+ first &* b.depth)
    if b.row == 1 && width == panelWidth {
        for k in 0..<count { store(Pair(from + k &* b.depth), out + k &* panelWidth) }
        return
    }
    let whole = b.depth == 1 ? width & ~7 : 0, depths = count & ~7
    var j = 0
    while j < whole {
        var k = 0
        while k < depths {
            eight_turn_floats(
                from + (j &* b.row &+ k), Int64(b.row), out + (k &* panelWidth &+ j),
                Int64(panelWidth))
            k &+= 8
        }
        while k < count {
            for i in j..<j &+ 8 { out[k &* panelWidth &+ i] = from[i &* b.row &+ k] }
            k &+= 1
        }
        j &+= 8
    }
    for k in 0..<count {
        for i in whole..<width {
            out[k &* panelWidth &+ i] = from[i &* b.row &+ k &* b.depth]
        }
    }
}
