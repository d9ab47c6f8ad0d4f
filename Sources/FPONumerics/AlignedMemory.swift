import CShims
import Glibc

/// Zeroed memory on a 64-byte boundary, freed with its owner.
public final class AlignedMemory: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int

    /// `nil` if there is no such memory.
    public init?(byteCount: Int) {
        guard byteCount >= 0, let base = fpo_allocate(max(byteCount, 64)) else { return nil }
        memset(base, 0, byteCount)
        self.base = base
        self.byteCount = byteCount
    }

    deinit { free(base) }
}
