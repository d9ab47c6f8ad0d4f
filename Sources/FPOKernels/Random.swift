// Threefry-2x32-20: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011. A key and a counter of 64 bits each give 64 random bits.

/// One block in each lane: the encryption of `(x0, x1)` under `(k0, k1)`.
@inline(__always)
func threefry(_ k0: Words, _ k1: Words, _ x0: Words, _ x1: Words) -> (Words, Words) {
    let k2 = k0 ^ k1 ^ Words(repeating: 0x1BD1_1BDA)
    var a = x0 &+ k0, b = x1 &+ k1
    @inline(__always) func mix(_ r: UInt32) {
        a = a &+ b
        b = ((b &<< Words(repeating: r)) | (b &>> Words(repeating: 32 - r))) ^ a
    }
    mix(13); mix(15); mix(26); mix(6)
    a = a &+ k1; b = b &+ k2 &+ Words(repeating: 1)
    mix(17); mix(29); mix(16); mix(24)
    a = a &+ k2; b = b &+ k0 &+ Words(repeating: 2)
    mix(13); mix(15); mix(26); mix(6)
    a = a &+ k0; b = b &+ k1 &+ Words(repeating: 3)
    mix(17); mix(29); mix(16); mix(24)
    a = a &+ k1; b = b &+ k2 &+ Words(repeating: 4)
    mix(13); mix(15); mix(26); mix(6)
    a = a &+ k2; b = b &+ k0 &+ Words(repeating: 5)
    return (a, b)
}

/// The top 23 bits of each word, as the midpoint of its interval of (0, 1).
@inline(__always)
func unit(_ words: Words) -> Lanes {
    #if ELEMENT_F32
        let one = LaneBits(repeating: 0x3f80_0000)
        return lanes((words &>> Words(repeating: 9)) | one) - (1 - 0x1p-24)
    #else
        var u = Lanes.zero
        for i in 0..<Lanes.scalarCount {
            u[i] = (Double(words[i] >> 9) + 0.5) * 0x1p-23
        }
        return u
    #endif
}

/// Two standard normals from a block, by Box and Muller.
@inline(__always)
func normals(_ block: (Words, Words)) -> (Lanes, Lanes) {
    let radius = squareRoot(-2 * logarithm(unit(block.0)))
    let (sine, cosine) = sineAndCosine(turns: unit(block.1))
    return (radius * cosine, radius * sine)
}

/// Draws `2 i` and `2 i + 1` of a key's stream come from the block of counter `i`.
@inline(__always)
private func stream(
    _ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Element>,
    _ pair: ((Words, Words)) -> (Lanes, Lanes)
) {
    let k0 = Words(repeating: UInt32(truncatingIfNeeded: key))
    let k1 = Words(repeating: UInt32(truncatingIfNeeded: key >> 32))
    var counter = 0
    while 2 &* counter < n {
        var low = Words.zero, high = Words.zero
        for lane in 0..<Words.scalarCount {
            low[lane] = UInt32(truncatingIfNeeded: counter &+ lane)
            high[lane] = UInt32(truncatingIfNeeded: (counter &+ lane) >> 32)
        }
        let (first, second) = pair(threefry(k0, k1, low, high))
        for lane in 0..<Words.scalarCount {
            let i = 2 &* (counter &+ lane)
            if i < n { out[i] = first[lane] }
            if i &+ 1 < n { out[i &+ 1] = second[lane] }
        }
        counter &+= Words.scalarCount
    }
}

func uniform(_ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Element>) {
    stream(key, n, out) { (unit($0.0), unit($0.1)) }
}

func normal(_ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Element>) {
    stream(key, n, out) { normals($0) }
}
