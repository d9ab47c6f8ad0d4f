import CShims
import Glibc

/// Owned, zeroed, 64-byte aligned memory whose allocation can fail without ending the process.
///
/// A request above the machine's memory fails here: Linux would promise it, and end the process
/// when it is touched.
public struct Buffer<Element: BitwiseCopyable>: ~Copyable {
    public let base: UnsafeMutablePointer<Element>
    public let count: Int

    /// Memory for `rows × columns` elements.
    public init(_ rows: Int, _ columns: Int = 1) throws(NumericsError) {
        let (count, many) = rows.multipliedReportingOverflow(by: columns)
        let (bytes, huge) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        guard !many, !huge, count >= 0, bytes <= machineMemory,
            let memory = fpo_allocate(max(bytes, 64))
        else { throw .memory(bytes: many || huge ? .max : bytes) }
        memset(memory, 0, bytes)
        base = memory.bindMemory(to: Element.self, capacity: count)
        self.count = count
    }

    deinit { free(base) }
}

/// Whoever shares a buffer sees to it that its elements are not written at once.
extension Buffer: @unchecked Sendable where Element: Sendable {}

extension Buffer {
    /// A copy of an array.
    public static func copy(of elements: [Element]) throws(NumericsError) -> Buffer {
        let buffer = try Buffer(elements.count)
        for (i, element) in elements.enumerated() { buffer.base[i] = element }
        return buffer
    }
}

/// Bytes of memory that the machine has.
public let machineMemory: Int = {
    let pages = sysconf(Int32(_SC_PHYS_PAGES)), size = sysconf(Int32(_SC_PAGESIZE))
    let (bytes, overflow) = pages.multipliedReportingOverflow(by: size)
    return overflow || bytes <= 0 ? .max : bytes
}()
