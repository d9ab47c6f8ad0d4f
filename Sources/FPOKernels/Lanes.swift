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
#endif

typealias LanePointer = UnsafeMutablePointer<Lanes>

/// `a b + c`, rounded once.
@inline(__always)
func fma(_ a: Lanes, _ b: Lanes, _ c: Lanes) -> Lanes { c.addingProduct(a, b) }

/// A vector of one value.
@inline(__always)
func all(_ value: Element) -> Lanes { Lanes(repeating: value) }

/// A NaN stays a NaN.
@inline(__always)
func clamp(_ x: Lanes, _ low: Element, _ high: Element) -> Lanes {
    let above = x.replacing(with: low, where: x .< low)
    return above.replacing(with: high, where: above .> high)
}

@inline(__always)
func magnitude(_ x: Lanes) -> Lanes { x.replacing(with: -x, where: x .< 0) }

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
