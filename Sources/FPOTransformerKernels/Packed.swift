import CLanes
import FPOKernelTypes

typealias Packed = TransformerKernels.Packed
typealias Factor = TransformerKernels.Factor
typealias Part = TransformerKernels.Part
typealias Input = UnsafePointer<Float>
typealias Output = UnsafeMutablePointer<Float>

private func roundToHalf(_ x: Float) -> UInt16 {
    let bits = x.bitPattern
    if x != x { return UInt16(truncatingIfNeeded: bits &>> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits &>> 16) & 1)) &>> 16)
}

private func widen(_ x: UInt16) -> Float { Float(bitPattern: UInt32(x) &<< 16) }

extension Packed {
    fileprivate var elements: Int { panelWidth &* columns }

    /// Where `row` and `column` stand in memory, in elements.
    func index(_ row: Int, _ column: Int) -> Int {
        let place = row % panelWidth
        let alternating =
            place % Lanes.scalarCount &* 2 &+ place / Lanes.scalarCount
        return row / panelWidth &* elements &+ column &* panelWidth
            &+ (storage == 1 ? alternating : place)
    }

    @inline(__always)
    func floats(_ panel: Int) -> PackedFloats {
        PackedFloats(base: Input(memory.assumingMemoryBound(to: Float.self) + panel &* elements))
    }
    @inline(__always)
    func halves(_ panel: Int) -> PackedHalves {
        PackedHalves(
            base: UnsafePointer(
                memory.assumingMemoryBound(to: UInt16.self) + panel &* elements))
    }
    @inline(__always)
    func bytes(_ panel: Int) -> PackedBytes {
        PackedBytes(
            base: UnsafePointer(memory.assumingMemoryBound(to: Int8.self) + panel &* elements))
    }
}

func pack(_ w: Packed, _ row: Int, _ source: Input) {
    let start = w.index(row, 0)
    switch w.storage {
    case 0:
        let out = w.memory.assumingMemoryBound(to: Float.self) + start
        for k in 0..<w.columns { out[k &* panelWidth] = source[k] }
    case 1:
        let out = w.memory.assumingMemoryBound(to: UInt16.self) + start
        for k in 0..<w.columns { out[k &* panelWidth] = roundToHalf(source[k]) }
    default:
        let out = w.memory.assumingMemoryBound(to: Int8.self) + start
        var largest: Float = 0, finite = true
        for k in 0..<w.columns {
            let magnitude = source[k].magnitude
            if magnitude > largest { largest = magnitude }
            finite = finite && source[k].isFinite
        }
        // A row with a NaN or an infinity gives NaN.
        w.scales[row] = finite ? largest / 127 : .nan
        let inverse = finite && largest > 0 ? 127 / largest : 0
        for k in 0..<w.columns {
            let scaled = inverse > 0 ? source[k] * inverse : 0
            let bounded = scaled > 127 ? 127 : scaled < -127 ? -127 : scaled
            out[k &* panelWidth] = Int8(bounded.rounded(.toNearestOrEven))
        }
    }
}

func unpack(_ w: Packed, _ row: Int, _ out: Output) {
    let start = w.index(row, 0)
    switch w.storage {
    case 0:
        let p = w.memory.assumingMemoryBound(to: Float.self) + start
        for k in 0..<w.columns { out[k] = p[k &* panelWidth] }
    case 1:
        let p = w.memory.assumingMemoryBound(to: UInt16.self) + start
        for k in 0..<w.columns { out[k] = widen(p[k &* panelWidth]) }
    default:
        let p = w.memory.assumingMemoryBound(to: Int8.self) + start
        for k in 0..<w.columns { out[k] = Float(p[k &* panelWidth]) * w.scales[row] }
    }
}

/// Rows of x that stay in the second cache while all panels pass.
private func block(_ depth: Int) -> Int {
    let fits = 57_344 / (depth > 0 ? depth : 1) / tileRows &* tileRows
    return fits > 4 &* tileRows ? fits : 4 &* tileRows
}

@inline(__always)
private func each(
    _ w: Packed, _ part: Part, _ x: Input, _ ldx: Int, _ y: Output, _ ldy: Int, _ adding: Bool,
    _ product: (_ panel: Int, _ rows: Int, Left, Result) -> Void
) {
    let rowBlock = block(w.columns)
    var i = part.rows.lowerBound
    while i < part.rows.upperBound {
        let count = part.rows.upperBound &- i < rowBlock ? part.rows.upperBound &- i : rowBlock
        var o = part.columns.lowerBound
        while o < part.columns.upperBound {
            let width = part.columns.upperBound &- o
            let result = Result(
                base: y + (i &* ldy &+ o), leadingDimension: ldy,
                width: width < panelWidth ? width : panelWidth, resume: false, adding: adding,
                scale: w.storage == 2 ? Pair(Input(w.scales + o)) : Pair(all(1), all(1)))
            product(
                o / panelWidth, count, Left(base: x + i &* ldx, row: ldx, depth: 1), result)
            o &+= panelWidth
        }
        i &+= count
    }
}

func multiply(
    _ w: Packed, _ part: Part, _ x: Input, _ ldx: Int, _ y: Output, _ ldy: Int, _ adding: Bool
) {
    switch w.storage {
    case 0:
        each(w, part, x, ldx, y, ldy, adding) { rows($1, w.columns, $2, w.floats($0), $3) }
    case 1:
        each(w, part, x, ldx, y, ldy, adding) { rows($1, w.columns, $2, w.halves($0), $3) }
    default:
        each(w, part, x, ldx, y, ldy, adding) { rows($1, w.columns, $2, w.bytes($0), $3) }
    }
}
