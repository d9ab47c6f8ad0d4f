import CLanes

/// The lanes in double precision, for what single precision cannot carry: in a float32 game the
/// utility filter's covariance.
struct Wide {
    private var value: wide_t

    @inline(__always) private init(value: wide_t) { self.value = value }
    @inline(__always) init(_ x: Double) { value = wide_repeat(x) }
    @inline(__always) init(_ x: Lanes) { value = wide_from(x) }

    /// Rounded to the element type.
    @inline(__always) var rounded: Lanes { wide_round(value) }

    subscript(lane: Int) -> Double {
        get { value[lane] }
        set { value[lane] = newValue }
    }

    @inline(__always) static func + (a: Wide, b: Wide) -> Wide {
        Wide(value: wide_add(a.value, b.value))
    }
    @inline(__always) static func - (a: Wide, b: Wide) -> Wide {
        Wide(value: wide_subtract(a.value, b.value))
    }
    @inline(__always) static func * (a: Wide, b: Wide) -> Wide {
        Wide(value: wide_multiply(a.value, b.value))
    }
    @inline(__always) static func / (a: Wide, b: Wide) -> Wide {
        Wide(value: wide_divide(a.value, b.value))
    }
    @inline(__always) static func * (a: Double, b: Wide) -> Wide { Wide(a) * b }
    @inline(__always) static func += (a: inout Wide, b: Wide) { a = a + b }

    /// `self + a b`, rounded once.
    @inline(__always) func adding(_ a: Wide, times b: Wide) -> Wide {
        Wide(value: wide_fma(a.value, b.value, value))
    }

    /// A NaN stays a NaN.
    @inline(__always) func atLeast(_ low: Double) -> Wide {
        Wide(value: wide_at_least(value, wide_repeat(low)))
    }
}

typealias WidePointer = UnsafeMutablePointer<Wide>

/// `Σᵢ a[i] b[i]`.
@inline(__always)
func dot(_ n: Int, _ a: WidePointer, _ b: WidePointer) -> Wide {
    var sum = Wide(0)
    for i in 0..<n { sum = sum.adding(a[i], times: b[i]) }
    return sum
}
