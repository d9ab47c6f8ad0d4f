import CLanes

// Elementary functions of a vector. Polynomials are Chebyshev fits at 40 digits (docs/math/
// elementary.md has the derivations, the fits and the measured errors).

#if ELEMENT_F32
    /// Adding it rounds to an integer that then stands in the low bits.
    private let rounder: Element = 0x1.8p23
    private let mantissaBits: SignedBits = 23
    private let exponentBias: SignedBits = 127
    private let ln2High: Element = 0x1.62ep-1  // 0.693115234375
    private let ln2Low: Element = 3.194618494e-05
    /// `e^x` is normal in between.
    private let expLow: Element = -87.33
    /// Below, `log(1 + eˣ)` and `1 / (1 + e⁻ˣ)` equal `eˣ` to the last bit.
    private let far: Element = -20
#else
    private let rounder: Element = 0x1.8p52
    private let mantissaBits: SignedBits = 52
    private let exponentBias: SignedBits = 1023
    private let ln2High: Element = 0x1.62e42fee00000p-1
    private let ln2Low: Element = 1.90821492927058770002e-10
    private let expLow: Element = -708.39
    private let far: Element = -40
#endif

/// `(eʳ − 1 − r) / r²` for `|r| ≤ ln 2 / 2`.
@inline(__always)
private func exponentialTail(_ r: Lanes) -> Lanes {
    #if ELEMENT_F32
        let r2 = r * r
        let low = fma(all(0.1666657702559798819), r, all(0.5))
        let high = fma(all(0.0083631730745137109028), r, all(0.041666554662050533982))
        return fma(fma(all(0.0013926176119635958884), r2, high), r2, low)
    #else
        var p = all(2.09146793765839351e-9)
        p = fma(p, r, all(2.5105206373957011116e-8))
        p = fma(p, r, all(2.7557273661348636219e-7))
        p = fma(p, r, all(2.7557255425746434282e-6))
        p = fma(p, r, all(0.000024801587325533363819))
        p = fma(p, r, all(0.00019841269874800491981))
        p = fma(p, r, all(0.0013888888888883752417))
        p = fma(p, r, all(0.008333333333326140884))
        p = fma(p, r, all(0.041666666666666669752))
        p = fma(p, r, all(0.16666666666666670986))
        return fma(p, r, all(0.5))
    #endif
}

/// `2 atanh(s) − 2 s = s³ Q(s²)`, for `s² ≤ 1/9`; `log(1 + u) = 2 atanh(u / (2 + u))`.
@inline(__always)
private func atanhTail(_ z: Lanes) -> Lanes {
    #if ELEMENT_F32
        var q = all(0.268514980228)
        q = fma(q, z, all(0.282366198053))
        q = fma(q, z, all(0.400075606449))
        return fma(q, z, all(0.666666403367))
    #else
        var q = all(0.14938828485979847019)
        q = fma(q, z, all(0.052834122281372712085))
        q = fma(q, z, all(0.092319442733682474862))
        q = fma(q, z, all(0.094571632072114846741))
        q = fma(q, z, all(0.10531837812039883673))
        q = fma(q, z, all(0.11764394102673769388))
        q = fma(q, z, all(0.13333345323305978498))
        q = fma(q, z, all(0.15384615076709172748))
        q = fma(q, z, all(0.18181818186880556257))
        q = fma(q, z, all(0.222222222221727887))
        q = fma(q, z, all(0.28571428571428821812))
        q = fma(q, z, all(0.39999999999999999502))
        return fma(q, z, all(0.66666666666666666667))
    #endif
}

/// `x = n ln 2 + r` with an integer `n` and `|r| ≤ ln 2 / 2`; `n` also in the low bits of `raised`.
@inline(__always)
private func reduce(_ x: Lanes) -> (r: Lanes, raised: Lanes) {
    let raised = fma(x, all(1.44269504088896340736), all(rounder))
    let n = raised - rounder
    return (fma(n, all(-ln2Low), fma(n, all(-ln2High), x)), raised)
}

/// `2ⁿ` for the integer in the low bits of `raised`, which keeps `2ⁿ` normal.
@inline(__always)
private func power(_ raised: Lanes) -> Lanes {
    lanes_power_of_two(raised, exponentBias, mantissaBits)
}

/// `eˣ`, with `x` clamped to where the result is normal. NaN stays NaN.
@inline(__always)
func exponential(_ x: Lanes) -> Lanes {
    #if ELEMENT_F32
        let (r, raised) = reduce(clamp(x, expLow, 88.0))
    #else
        let (r, raised) = reduce(clamp(x, expLow, 709.0))
    #endif
    let p = fma(exponentialTail(r), r * r, r) + 1
    return p * power(raised)
}

/// `eˣ − 1` for `x ≤ 0`.
@inline(__always)
private func exponentialMinusOne(_ x: Lanes) -> Lanes {
    let (r, raised) = reduce(select(x, lessThan: expLow, all(expLow), else: x))
    let scale = power(raised)
    return fma(fma(exponentialTail(r), r * r, r), scale, scale - 1)
}

/// `e^(−|x|)`: in `(0, 1]`, and normal.
@inline(__always)
func decay(_ x: Lanes) -> Lanes {
    let a = max(-magnitude(x), expLow)
    #if ELEMENT_F32
        // a / ln 2 = n + f with |f| ≤ ½, and 2ᶠ.
        let raised = fma(a, all(1.44269504088896340736), all(rounder))
        let near = fma(a, all(1.44269504088896340736), rounder - raised)
        let f = fma(a, all(1.925963033e-8), near)
        var p = fma(all(0.0013264727198), f, all(0.0096715126397))
        p = fma(p, f, all(0.055507337433))
        p = fma(p, f, all(0.24022242085))
        p = fma(p, f, all(0.6931469776))
        return lanes_scale(fma(p, f, all(1)), raised, mantissaBits)
    #else
        let (r, raised) = reduce(a)
        return lanes_scale(fma(exponentialTail(r), r * r, r) + 1, raised, mantissaBits)
    #endif
}

/// `log(1 + eˣ)` and its derivative `1 / (1 + e⁻ˣ)`, with one division between them; `u = decay(x)`.
@inline(__always)
func softplusAndSigmoid(_ x: Lanes, decayed u: Lanes) -> (softplus: Lanes, sigmoid: Lanes) {
    let positive = max(x, 0)
    #if ELEMENT_F32
        // log(1 + u) / u, by its even and its odd part.
        let u2 = u * u
        var even = fma(all(0.005126102141), u2, all(0.07751608674))
        var odd = fma(all(-0.02907406468), u2, all(-0.1360224762))
        even = fma(even, u2, all(0.1907688074))
        odd = fma(odd, u2, all(-0.2483539899))
        even = fma(even, u2, all(0.3331812171))
        odd = fma(odd, u2, all(-0.4999944498))
        even = fma(even, u2, all(0.9999999659))
        let softplus = fma(fma(odd, u, even), u, positive)
        let inverse = 1 / (u + 1)
    #else
        let onePlus = u + 1, twoPlus = u + 2
        let quotient = 1 / (onePlus * twoPlus)
        let s = u * onePlus * quotient  // u / (2 + u); log(1 + u) = 2 atanh(s)
        let z = s * s
        let softplus = positive + fma(s * z, atanhTail(z), s + s)
        let inverse = twoPlus * quotient
    #endif
    return (softplus, lanes_where_signed(x, u * inverse, inverse))
}

/// `log x` for a normal `x > 0`.
@inline(__always)
func logarithm(_ x: Lanes) -> Lanes {
    // x = 2ⁿ m with √½ ≤ m < √2.
    #if ELEMENT_F32
        let half: Bits = 0x3f35_04f3
    #else
        let half: Bits = 0x3fe6_a09e_667f_3bcd
    #endif
    let offset = bits(x) &- LaneBits(repeating: half)
    // The arithmetic shift of a two's complement number, spelled with unsigned ones.
    let sign = LaneBits(repeating: 1 &<< (Bits.bitWidth == 32 ? 31 : 63))
    let biased = (offset ^ sign) &>> LaneBits(repeating: Bits(mantissaBits))
    let shift = sign &>> LaneBits(repeating: Bits(mantissaBits))
    let n = biased &- shift
    let m = lanes(bits(x) &- (n &<< LaneBits(repeating: Bits(mantissaBits))))
    let k = lanes(bits(all(rounder)) &+ n) - rounder
    let f = m - 1
    let s = f / (f + 2)
    let z = s * s
    // 2 atanh(s) = f − s (f − s² Q(s²)), with the leading term exact.
    let correction = fma(-s, fma(-z, atanhTail(z), f), k * ln2Low)
    return fma(k, all(ln2High), f + correction)
}

/// `sin` and `cos` of `2π u` for `0 ≤ u ≤ 1`.
@inline(__always)
func sineAndCosine(turns u: Lanes) -> (sine: Lanes, cosine: Lanes) {
    let raised = fma(u, all(4), all(rounder))
    let f = fma(u, all(4), rounder - raised)  // u in quarter turns, less the nearest integer
    let z = f * f
    #if ELEMENT_F32
        var s = all(-0.0046021492128141759311)
        s = fma(s, z, all(0.079680217647755413373))
        s = fma(s, z, all(-0.6459634776648117955))
        s = fma(s, z, all(1.5707963219532366854)) * f
        var c = all(0.0009036280663803)
        c = fma(c, z, all(-0.02086006950026407703))
        c = fma(c, z, all(0.25366920365511347511))
        c = fma(c, z, all(-1.2337005406331622196))
        c = fma(c, z, all(1))
    #else
        var s = all(-6.6276249389924723662e-10)
        s = fma(s, z, all(5.6919278504896334155e-8))
        s = fma(s, z, all(-3.5988427171448577997e-6))
        s = fma(s, z, all(0.0001604411847266723001))
        s = fma(s, z, all(-0.0046817541353148270709))
        s = fma(s, z, all(0.07969262624616692448))
        s = fma(s, z, all(-0.64596409750624625222))
        s = fma(s, z, all(1.5707963267948966192)) * f
        var c = all(6.5066542354246979324e-11)
        c = fma(c, z, all(-6.3863254633863562277e-9))
        c = fma(c, z, all(4.7108740775364386663e-7))
        c = fma(c, z, all(-0.000025202042362733304783))
        c = fma(c, z, all(0.00091926027483853309188))
        c = fma(c, z, all(-0.020863480763352917446))
        c = fma(c, z, all(0.25366950790104801258))
        c = fma(c, z, all(-1.2337005501361698273))
        c = fma(c, z, all(1))
    #endif
    let quadrant = bits(raised)
    let one = LaneBits(repeating: 1)
    let odd = (quadrant & one) .== one
    let sineSign = (quadrant & LaneBits(repeating: 2)) .!= LaneBits(repeating: 0)
    let cosineSign = ((quadrant &+ one) & LaneBits(repeating: 2)) .!= LaneBits(repeating: 0)
    let sine = s.replacing(with: c, where: odd)
    let cosine = c.replacing(with: s, where: odd)
    return (
        sine.replacing(with: -sine, where: sineSign),
        cosine.replacing(with: -cosine, where: cosineSign)
    )
}

// MARK: Whole range, for arrays

/// `eˣ` over the whole range: subnormal results, infinities and NaN included.
@inline(__always)
func exponentialWhole(_ x: Lanes) -> Lanes {
    #if ELEMENT_F32
        let (r, raised) = reduce(clamp(x, -104, 89))
    #else
        let (r, raised) = reduce(clamp(x, -746, 710))
    #endif
    // 2ⁿ in two factors, so that neither overflows.
    let half = lanes(bits((raised - rounder) * 0.5 + rounder))
    let rest = (raised - rounder) - (half - rounder) + rounder
    let p = fma(exponentialTail(r), r * r, r) + 1
    return p * power(half) * power(rest)
}

/// `log x` over the whole range: −∞ at 0, NaN below, subnormal arguments.
@inline(__always)
func logarithmWhole(_ x: Lanes) -> Lanes {
    #if ELEMENT_F32
        let tiny: Element = 0x1p-126, lift: Element = 0x1p25, liftLog: Element = 25
    #else
        let tiny: Element = 0x1p-1022, lift: Element = 0x1p54, liftLog: Element = 54
    #endif
    let subnormal = x .< tiny
    let raised = x.replacing(with: x * lift, where: subnormal)
    let plain = logarithm(raised)
    var y = plain.replacing(
        with: plain - liftLog * 0.693147180559945309417, where: subnormal)
    y.replace(with: Lanes(repeating: -.infinity), where: x .== 0)
    y.replace(with: x, where: x .== .infinity)
    y.replace(with: Lanes(repeating: .nan), where: x .< 0)
    y.replace(with: x, where: x .!= x)
    return y
}

/// `tanh x = −m / (m + 2)` with `m = e^(−2|x|) − 1`, and the sign of `x`.
@inline(__always)
func hyperbolicTangent(_ x: Lanes) -> Lanes {
    let m = exponentialMinusOne(-2 * magnitude(x))
    let t = -m / (m + 2)
    let signed = select(x, lessThan: 0, -t, else: t)
    return signed.replacing(with: x, where: x .== 0)
}

/// `log(1 + eˣ)` over the whole range.
@inline(__always)
func softplusWhole(_ x: Lanes) -> Lanes {
    let (plain, _) = softplusAndSigmoid(x, decayed: decay(x))
    return plain.replacing(with: exponentialWhole(x), where: x .< far)
}

/// `1 / (1 + e⁻ˣ)` over the whole range.
@inline(__always)
func sigmoidWhole(_ x: Lanes) -> Lanes {
    let (_, plain) = softplusAndSigmoid(x, decayed: decay(x))
    return plain.replacing(with: exponentialWhole(x), where: x .< far)
}

/// `y[i] = f(x[i])`, the last partial vector through a padded copy.
@inline(__always)
func map(
    _ n: Int, _ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>,
    _ f: (Lanes) -> Lanes
) {
    let whole = n - n % Lanes.scalarCount
    var i = 0
    while i < whole {
        store(f(load(x + i)), y + i)
        i &+= Lanes.scalarCount
    }
    guard whole < n else { return }
    var rest = Lanes(repeating: 1)
    for j in whole..<n { rest[j - whole] = x[j] }
    rest = f(rest)
    for j in whole..<n { y[j] = rest[j - whole] }
}
