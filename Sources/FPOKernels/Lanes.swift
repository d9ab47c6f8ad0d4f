import CLanes

// This folder is compiled four times: for each element type (ELEMENT_F32, ELEMENT_F64) and CPU
// level (LEVEL_V3, LEVEL_V4). It uses pointers and SIMD values only: a specialised container of
// the standard library would come out under one name from all four, and the linker would keep
// one, perhaps for a CPU that this is not.

#if ELEMENT_F32
    typealias Element = Float
    #if LEVEL_V4
        typealias Lanes = SIMD16<Float>
        typealias Words = SIMD16<UInt32>
    #else
        typealias Lanes = SIMD8<Float>
        typealias Words = SIMD8<UInt32>
    #endif
    typealias Bits = UInt32
    typealias SignedBits = Int32
#else
    typealias Element = Double
    #if LEVEL_V4
        typealias Lanes = SIMD8<Double>
        typealias Words = SIMD8<UInt32>
    #else
        typealias Lanes = SIMD4<Double>
        typealias Words = SIMD4<UInt32>
    #endif
    typealias Bits = UInt64
    typealias SignedBits = Int64
#endif

typealias LanePointer = UnsafeMutablePointer<Lanes>

// Concrete operators, preferred to the generic ones of SIMD types: see CLanes.

@inline(__always) func + (a: Lanes, b: Lanes) -> Lanes { lanes_add(a, b) }
@inline(__always) func - (a: Lanes, b: Lanes) -> Lanes { lanes_subtract(a, b) }
@inline(__always) func * (a: Lanes, b: Lanes) -> Lanes { lanes_multiply(a, b) }
@inline(__always) func / (a: Lanes, b: Lanes) -> Lanes { lanes_divide(a, b) }
@inline(__always) func + (a: Lanes, b: Element) -> Lanes { lanes_add(a, lanes_repeat(b)) }
@inline(__always) func - (a: Lanes, b: Element) -> Lanes { lanes_subtract(a, lanes_repeat(b)) }
@inline(__always) func * (a: Lanes, b: Element) -> Lanes { lanes_multiply(a, lanes_repeat(b)) }
@inline(__always) func / (a: Lanes, b: Element) -> Lanes { lanes_divide(a, lanes_repeat(b)) }
@inline(__always) func - (a: Element, b: Lanes) -> Lanes { lanes_subtract(lanes_repeat(a), b) }
@inline(__always) func * (a: Element, b: Lanes) -> Lanes { lanes_multiply(lanes_repeat(a), b) }
@inline(__always) func / (a: Element, b: Lanes) -> Lanes { lanes_divide(lanes_repeat(a), b) }
@inline(__always) prefix func - (a: Lanes) -> Lanes { lanes_negate(a) }
@inline(__always) func += (a: inout Lanes, b: Lanes) { a = lanes_add(a, b) }
@inline(__always) func -= (a: inout Lanes, b: Element) { a = lanes_subtract(a, lanes_repeat(b)) }
@inline(__always) func += (a: inout Lanes, b: Element) { a = lanes_add(a, lanes_repeat(b)) }
@inline(__always) func *= (a: inout Lanes, b: Element) { a = lanes_multiply(a, lanes_repeat(b)) }

/// `a b + c`, rounded once.
@inline(__always) func fma(_ a: Lanes, _ b: Lanes, _ c: Lanes) -> Lanes { lanes_fma(a, b, c) }

@inline(__always) func squareRoot(_ x: Lanes) -> Lanes { lanes_sqrt(x) }
@inline(__always) func magnitude(_ x: Lanes) -> Lanes { lanes_abs(x) }

/// A vector of one value.
@inline(__always) func all(_ value: Element) -> Lanes { lanes_repeat(value) }

/// `a` in the lanes where `x < y`, else `b`.
@inline(__always)
func select(_ x: Lanes, lessThan y: Element, _ a: Lanes, else b: Lanes) -> Lanes {
    lanes_where_less(x, lanes_repeat(y), a, b)
}

/// The larger one; a NaN stays a NaN.
@inline(__always)
func max(_ x: Lanes, _ low: Element) -> Lanes { lanes_at_least(x, lanes_repeat(low)) }

/// A NaN stays a NaN.
@inline(__always)
func clamp(_ x: Lanes, _ low: Element, _ high: Element) -> Lanes {
    let low = lanes_repeat(low), high = lanes_repeat(high)
    let above = lanes_where_less(x, low, low, x)
    return lanes_where_less(high, above, high, above)
}

@inline(__always)
func load(_ p: UnsafePointer<Element>) -> Lanes {
    UnsafeRawPointer(p).loadUnaligned(as: Lanes.self)
}

@inline(__always)
func store(_ x: Lanes, _ p: UnsafeMutablePointer<Element>) {
    UnsafeMutableRawPointer(p).storeBytes(of: x, as: Lanes.self)
}

#if ELEMENT_F32
    typealias LaneBits = Words
#elseif LEVEL_V4
    typealias LaneBits = SIMD8<UInt64>
#else
    typealias LaneBits = SIMD4<UInt64>
#endif

@inline(__always)
func bits(_ x: Lanes) -> LaneBits { unsafeBitCast(x, to: LaneBits.self) }

@inline(__always)
func lanes(_ x: LaneBits) -> Lanes { unsafeBitCast(x, to: Lanes.self) }
