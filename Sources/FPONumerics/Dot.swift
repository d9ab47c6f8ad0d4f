/// `Σᵢ aᵢ bᵢ` over `n` elements. Element `i` goes to partial sum `i mod 8`, and the partial sums
/// are added pairwise: the same bits in every build.
@inlinable
@inline(__always)
public func dot<S: Scalar>(_ n: Int, _ a: UnsafePointer<S>, _ b: UnsafePointer<S>) -> S {
    var sum = SIMD8<S>.zero
    let whole = n & ~7
    var i = 0
    while i < whole {
        sum += eight(a + i) * eight(b + i)
        i &+= 8
    }
    let quarters = sum.lowHalf + sum.highHalf
    let halves = quarters.lowHalf + quarters.highHalf
    var total = halves[0] + halves[1]
    while i < n {
        total += a[i] * b[i]
        i &+= 1
    }
    return total
}

/// `y += s x` over `n` elements.
@inlinable
@inline(__always)
public func addProduct<S: Scalar>(
    _ n: Int, _ s: S, _ x: UnsafePointer<S>, to y: UnsafeMutablePointer<S>
) {
    for i in 0..<n { y[i] += s * x[i] }
}

@inlinable
@inline(__always)
func eight<S: Scalar>(_ p: UnsafePointer<S>) -> SIMD8<S> {
    SIMD8(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7])
}
