public import FPOKernelTypes

/// A read-only view of `count × columns` elements in row-major order, with `leadingDimension`
/// elements between the starts of rows. It owns nothing.
public struct Rows<Element>: @unchecked Sendable {
    public let base: UnsafePointer<Element>
    public let count: Int
    public let columns: Int
    public let leadingDimension: Int

    public init(base: UnsafePointer<Element>, count: Int, columns: Int, leadingDimension: Int) {
        self.base = base
        self.count = count
        self.columns = columns
        self.leadingDimension = leadingDimension
    }

    @inlinable
    public subscript(_ row: Int) -> UnsafePointer<Element> { base + row * leadingDimension }
}

/// An element type that the kernels are compiled for.
public protocol KernelElement: Scalar {
    /// The kernels for this processor; `nil` below x86-64-v3.
    static var kernelTable: KernelTable<Self>? { get }
}

extension Float: KernelElement {
    public static var kernelTable: KernelTable<Float>? { CPU.float }
}

extension Double: KernelElement {
    public static var kernelTable: KernelTable<Double>? { CPU.double }
}

extension KernelElement {
    /// The kernels for this processor, or ``NumericsError/processor``.
    public static func kernels() throws(NumericsError) -> KernelTable<Self> {
        guard let table = kernelTable else { throw .processor }
        return table
    }
}

extension ThreadPool {
    /// Calls `body` on ranges that together make `0..<count`, cut so that each is worth a thread's
    /// while when an item costs `cost` multiplications. Small jobs run on the caller's thread.
    public func run(items count: Int, cost: Int, _ body: (Range<Int>) -> Void) {
        guard count > 0 else { return }
        let worthwhile = max(1, 32_768 / max(cost, 1))
        let size = max(worthwhile, count / 4096)
        run(tasks: (count - 1) / size + 1) { task in
            let start = task * size
            body(start..<start + min(size, count - start))
        }
    }
}
