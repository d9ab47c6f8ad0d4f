public import FPONumerics

/// Constant rows of test data, with a few elements between rows that no one may read.
///
/// The memory is never freed: views of it may outlive the ``Samples`` that made them.
public struct Samples<Element: KernelElement>: @unchecked Sendable {
    public let count, columns, leadingDimension: Int
    private let memory: UnsafeMutablePointer<Element>

    public init(
        _ count: Int, _ columns: Int, padding: Int = 3, _ element: (Int, Int) -> Element
    ) {
        self.count = count
        self.columns = columns
        leadingDimension = columns + padding
        memory = .allocate(capacity: max(count * leadingDimension, 1))
        memory.initialize(repeating: .nan, count: max(count * leadingDimension, 1))
        for i in 0..<count {
            for j in 0..<columns { memory[i * leadingDimension + j] = element(i, j) }
        }
    }

    /// Uniform on (-1, 1).
    public init(
        _ count: Int, _ columns: Int, using rng: inout some RandomNumberGenerator
    ) {
        self.init(count, columns) { _, _ in Element(Double.random(in: -1...1, using: &rng)) }
    }

    public var rows: Rows<Element> {
        Rows(base: memory, count: count, columns: columns, leadingDimension: leadingDimension)
    }

    public subscript(_ i: Int, _ j: Int) -> Element { memory[i * leadingDimension + j] }
}

/// Small multiples of 1/4: exact in `Float` and in decimal.
public func quarter(_ i: Int, _ j: Int, _ k: Int) -> Double {
    let step: Int = (7 * i + 3 * j + 5 * k) % 11
    return Double(step - 5) / 4
}
