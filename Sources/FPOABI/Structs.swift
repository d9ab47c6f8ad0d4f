import CFPO

// Structs that begin with their size, and grow only at the end: an older caller's is shorter, a
// newer one's longer than ours.

/// Copies a caller's struct over `defaults`, which stand for the fields that it does not know.
func read<Struct: BitwiseCopyable>(
    _ pointer: UnsafePointer<Struct>?, over defaults: Struct, _ name: String
) throws(Failure) -> Struct {
    let pointer = try unwrap(pointer, name)
    let raw = UnsafeRawPointer(pointer)
    let own = MemoryLayout<Struct>.size
    let given = Int(raw.load(as: UInt32.self))
    try require(
        given >= 8 && given <= 4096, FPO_ERR_ABI,
        "\(name).struct_size: \(given), but this library knows \(own); its _init function sets it")
    for i in own..<max(own, given) {
        try require(
            raw.load(fromByteOffset: i, as: UInt8.self) == 0, FPO_ERR_ABI,
            "\(name): a field beyond byte \(own) is set, which this library does not know")
    }
    var result = defaults
    withUnsafeMutableBytes(of: &result) { bytes in
        bytes.baseAddress!.copyMemory(from: raw, byteCount: min(own, given))
    }
    return result
}

/// Fills a caller's struct of `size` bytes with `value`, its tail with zeros.
func fill<Struct: BitwiseCopyable>(
    _ pointer: UnsafeMutablePointer<Struct>?, _ size: UInt32, with value: Struct, _ name: String
) throws(Failure) {
    let pointer = try unwrap(pointer, name)
    let own = MemoryLayout<Struct>.size
    let given = Int(size)
    try require(
        given >= 8 && given <= 4096, FPO_ERR_ABI,
        "struct_size: \(given), but pass sizeof(\(name)), \(own) in this library")
    let raw = UnsafeMutableRawPointer(pointer)
    withUnsafeBytes(of: value) { bytes in
        raw.copyMemory(from: bytes.baseAddress!, byteCount: min(own, given))
    }
    for i in own..<max(own, given) { raw.storeBytes(of: 0, toByteOffset: i, as: UInt8.self) }
    raw.storeBytes(of: size, as: UInt32.self)
}
