import CShims
import Glibc

/// Owned, 64-byte aligned memory whose allocation can fail without ending the process.
public struct Buffer<Element: BitwiseCopyable>: ~Copyable {
    public let base: UnsafeMutablePointer<Element>
    public let count: Int

    private static var machineMemory: Int {
        let pages = sysconf(Int32(_SC_PHYS_PAGES)), size = sysconf(Int32(_SC_PAGESIZE))
        let (bytes, overflow) = pages.multipliedReportingOverflow(by: size)
        return overflow || bytes <= 0 ? .max : bytes
    }

    /// Memory for `rows × columns` elements, each set to `value`.
    public init(_ rows: Int, _ columns: Int = 1, filledWith value: Element)
        throws(NumericsError)
    {
        let (count, many) = rows.multipliedReportingOverflow(by: columns)
        let (bytes, huge) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        // Linux promises memory that it does not have: what exceeds the machine is refused here.
        guard !many, !huge, count >= 0, bytes <= Self.machineMemory,
            let memory = fpo_allocate(max(bytes, 64))
        else { throw .memory(bytes: many || huge ? .max : bytes) }
        base = memory.bindMemory(to: Element.self, capacity: count)
        base.initialize(repeating: value, count: count)
        self.count = count
    }

    deinit { free(base) }
}
