#if ELEMENT_F32
    /// Eight elements, widened.
    @inline(__always)
    private func eight(_ p: UnsafePointer<Element>) -> SIMD8<Double> {
        SIMD8<Double>(UnsafeRawPointer(p).loadUnaligned(as: SIMD8<Float>.self))
    }
#else
    @inline(__always)
    private func eight(_ p: UnsafePointer<Element>) -> SIMD8<Double> {
        UnsafeRawPointer(p).loadUnaligned(as: SIMD8<Double>.self)
    }
#endif

/// `Σ term(i)`, in double. Element `i` goes to lane `i mod 32`, and lanes are added pairwise: the
/// same bits at every CPU level.
@inline(__always)
private func sum(
    _ n: Int, _ vector: (Int) -> (SIMD8<Double>, SIMD8<Double>),
    _ scalar: (Int) -> (Double, Double)
) -> Double {
    var a = SIMD8<Double>.zero, b = a, c = a, d = a
    let whole = n - n % 32
    var i = 0
    while i < whole {
        let (a0, a1) = vector(i), (b0, b1) = vector(i &+ 8)
        let (c0, c1) = vector(i &+ 16), (d0, d1) = vector(i &+ 24)
        a.addProduct(a0, a1)
        b.addProduct(b0, b1)
        c.addProduct(c0, c1)
        d.addProduct(d0, d1)
        i &+= 32
    }
    let eighths = (a + b) + (c + d)
    let quarters = eighths.lowHalf + eighths.highHalf
    let halves = quarters.lowHalf + quarters.highHalf
    var total = halves[0] + halves[1]
    while i < n {
        let (x, y) = scalar(i)
        total = total.addingProduct(x, y)
        i &+= 1
    }
    return total
}

@inline(never)
func dot(_ n: Int, _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>) -> Double {
    sum(n, { (eight(a + $0), eight(b + $0)) }, { (Double(a[$0]), Double(b[$0])) })
}

@inline(never)
func differenceDot(
    _ n: Int, _ a: UnsafePointer<Element>, _ c: UnsafePointer<Element>,
    _ b: UnsafePointer<Element>
) -> Double {
    sum(
        n, { (eight(a + $0) - eight(c + $0), eight(b + $0)) },
        { (Double(a[$0]) - Double(c[$0]), Double(b[$0])) })
}

@inline(never)
func squaredDistance(
    _ n: Int, _ a: UnsafePointer<Element>, _ c: UnsafePointer<Element>
) -> Double {
    sum(
        n,
        {
            let difference = eight(a + $0) - eight(c + $0)
            return (difference, difference)
        },
        {
            let difference = Double(a[$0]) - Double(c[$0])
            return (difference, difference)
        })
}
