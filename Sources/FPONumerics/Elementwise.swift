public import FPOKernelTypes

/// `y[i] = f(x[i])` for a function of the kernel table; `x == y` is allowed.
public func elementwise<Element: KernelElement>(
    _ function: KernelTable<Element>.Map, count: Int, _ x: UnsafePointer<Element>,
    _ y: UnsafeMutablePointer<Element>
) {
    ThreadPool.shared.run(items: count, cost: 8) { range in
        function(range.count, x + range.lowerBound, y + range.lowerBound)
    }
}
