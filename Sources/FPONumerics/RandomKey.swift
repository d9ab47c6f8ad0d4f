/// A key of the counter-based generator Threefry-2x32-20: Salmon, Moraes, Dror and Shaw, "Parallel
/// random numbers: as easy as 1, 2, 3", SC 2011.
///
/// A key names a stream of draws (``KernelTable/uniform``, ``KernelTable/normal``), of which draw
/// `i` depends on the key and `i` alone, and a tree of further keys. There is no state: the same
/// key gives the same bits, in any order and on any thread.
public struct RandomKey: Hashable, Sendable {
    /// The key's 64 bits, the low word first.
    public let value: UInt64

    public init(value: UInt64) { self.value = value }

    /// The key of a seed: distinct seeds have distinct keys.
    public init(seed: UInt64) { self = RandomKey(value: 0).fold(seed) }

    /// The `index`-th child: distinct indices have distinct children.
    ///
    /// Children come from the complement of the key and draws from the key itself, so that a key
    /// may serve for both.
    public func fold(_ index: UInt64) -> RandomKey {
        RandomKey(value: Self.threefry(key: ~value, counter: index))
    }

    /// One block of the stream: draws `2 counter` and `2 counter + 1` are made of its low and its
    /// high word.
    public func block(_ counter: UInt64) -> UInt64 {
        Self.threefry(key: value, counter: counter)
    }

    private static func threefry(key: UInt64, counter: UInt64) -> UInt64 {
        let k0 = UInt32(truncatingIfNeeded: key), k1 = UInt32(truncatingIfNeeded: key >> 32)
        let k2 = k0 ^ k1 ^ 0x1BD1_1BDA
        var a = UInt32(truncatingIfNeeded: counter) &+ k0
        var b = UInt32(truncatingIfNeeded: counter >> 32) &+ k1
        func mix(_ rotation: UInt32) {
            a = a &+ b
            b = ((b &<< rotation) | (b &>> (32 &- rotation))) ^ a
        }
        func inject(_ x: UInt32, _ y: UInt32, _ round: UInt32) {
            a = a &+ x
            b = b &+ y &+ round
        }
        mix(13); mix(15); mix(26); mix(6)
        inject(k1, k2, 1)
        mix(17); mix(29); mix(16); mix(24)
        inject(k2, k0, 2)
        mix(13); mix(15); mix(26); mix(6)
        inject(k0, k1, 3)
        mix(17); mix(29); mix(16); mix(24)
        inject(k1, k2, 4)
        mix(13); mix(15); mix(26); mix(6)
        inject(k2, k0, 5)
        return UInt64(b) << 32 | UInt64(a)
    }
}
