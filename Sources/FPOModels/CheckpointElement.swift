import FPONumerics

/// How the numbers of a checkpoint are stored.
public enum CheckpointElement: Int, Sendable {
    case float32 = 0, float16, bfloat16

    public var size: Int { self == .float32 ? 4 : 2 }

    /// `count` numbers as floats, exactly.
    public func widen(
        _ source: UnsafeRawPointer, count: Int, to out: UnsafeMutablePointer<Float>
    ) {
        switch self {
        case .float32:
            UnsafeMutableRawPointer(out).copyMemory(from: source, byteCount: 4 * count)
        case .bfloat16:
            for i in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
                out[i] = Float(bitPattern: UInt32(bits) << 16)
            }
        case .float16:
            for i in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
                out[i] = Self.half(bits)
            }
        }
    }

    /// IEEE binary16: the exponent's bias differs by 112, and so subnormals come out right too.
    private static func half(_ bits: UInt16) -> Float {
        let magnitude = UInt32(bits & 0x7FFF) << 13
        let special = bits & 0x7C00 == 0x7C00
        let value =
            special
            ? Float(bitPattern: magnitude | 0x7F80_0000) : Float(bitPattern: magnitude) * 0x1p112
        return bits & 0x8000 == 0 ? value : -value
    }
}
