import CFPO
import CShims
import FPONumerics
import Glibc

/// The pointer of a literal, which ends with a NUL and lives as long as the library.
private func text(_ literal: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
}

@c @implementation
public func fpo_abi_version() -> UInt32 {
    FPO_ABI_MAJOR << 16 | FPO_ABI_MINOR
}

/// The header's text, kept for the life of the process.
nonisolated(unsafe) private let version = UnsafePointer(strdup(FPO_VERSION)!)

@c @implementation
public func fpo_version() -> UnsafePointer<CChar>? { version }

@c @implementation
public func fpo_status_name(_ status: Int32) -> UnsafePointer<CChar>? {
    switch Int(status) {
    case FPO_OK: text("ok")
    case FPO_ERR_NULL: text("null")
    case FPO_ERR_DOMAIN: text("domain")
    case FPO_ERR_SHAPE: text("shape")
    case FPO_ERR_NONFINITE: text("nonfinite")
    case FPO_ERR_MEMORY: text("memory")
    case FPO_ERR_ABI: text("abi")
    case FPO_ERR_FORMAT: text("format")
    case FPO_ERR_CANCELLED: text("cancelled")
    case FPO_ERR_BUSY: text("busy")
    case FPO_ERR_SINGULAR: text("singular")
    case FPO_ERR_CONVERGENCE: text("convergence")
    case FPO_ERR_CPU: text("cpu")
    case FPO_ERR_STATE: text("state")
    case FPO_ERR_INTERNAL: text("internal")
    default: text("unknown")
    }
}

@c @implementation
public func fpo_last_error() -> UnsafePointer<CChar>? { UnsafePointer(fpo_message()) }

@c @implementation
public func fpo_build_info(
    _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    boundary { () throws(Failure) in
        let pairs = [
            ("version", FPO_VERSION), ("abi", "\(FPO_ABI_MAJOR).\(FPO_ABI_MINOR)"),
            ("cpu_level", "\(CPU.level)"), ("cpu_level_detected", "\(CPU.detectedLevel)"),
            ("lanes_f32", "\(CPU.float?.lanes ?? 0)"), ("lanes_f64", "\(CPU.double?.lanes ?? 0)"),
            ("threads", "\(ThreadPool.shared.count)"), ("blas", BLAS.configuration),
            ("blas_core", BLAS.core),
        ]
        try write(pairs.map { "\($0)=\($1)\n" }.joined(), buffer, capacity, needed)
    }
}

/// Copies at most `capacity` bytes of a text with a final NUL to the caller's buffer.
func write(
    _ text: String, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) throws(Failure) {
    let bytes = Array(text.utf8)
    // More than Int.max comes as a negative number.
    let room = capacity < 0 ? Int.max : capacity
    if room > 0 {
        let target = try unwrap(buffer, "buffer")
        let count = min(bytes.count, room - 1)
        for i in 0..<count { target[i] = CChar(bitPattern: bytes[i]) }
        target[count] = 0
    }
    needed?.pointee = bytes.count + 1
}

@c @implementation
public func fpo_set_num_threads(_ count: Int32) -> Int32 {
    boundary { () throws(Failure) in
        try require(
            (0...ThreadPool.maximumCount).contains(Int(count)), FPO_ERR_DOMAIN,
            "count: \(count), but must be in 0 ... \(ThreadPool.maximumCount)")
        ThreadPool.shared.count = Int(count)
    }
}

@c @implementation
public func fpo_get_num_threads() -> Int32 { Int32(ThreadPool.shared.count) }
