import CShims
import FPOKernelTypes

/// A weight matrix `W (rows, columns)` = (outputs, inputs) in the order that products read it.
///
/// Rows stand in panels; a panel holds, for each column, its rows' elements side by side. Any rows
/// may be packed at any time, but not while a product runs.
///
/// Each element of a product is one chain of fused multiply-adds in single precision over its
/// depth: the same bits for any number of rows, threads, and CPU level.
public final class PackedMatrix: @unchecked Sendable {
    public enum Storage: Int32, Sendable {
        case float32 = 0
        /// Rounded to the nearest, ties to even.
        case bfloat16 = 1
        /// `round(w / s)` with one scale `s = max |w| / 127` for each row. A row with a NaN or an
        /// infinity gives NaN.
        case int8 = 2

        /// Bytes of an element.
        public var size: Int {
            switch self {
            case .float32: 4
            case .bfloat16: 2
            case .int8: 1
            }
        }
    }

    /// Ranges of outputs start at multiples of it, at every CPU level.
    public static let panel = 32

    public let rows, columns: Int
    public let storage: Storage
    private let memory: Buffer<UInt8>
    private let scales: Buffer<Float>
    private let kernels: TransformerKernels

    /// Zeros.
    public init(rows: Int, columns: Int, storage: Storage) throws(NumericsError) {
        kernels = try TransformerKernels.forThisProcessor()
        let (padded, overflow) = rows.addingReportingOverflow(Self.panel - 1)
        guard !overflow else { throw .memory(bytes: .max) }
        let (width, wide) = columns.multipliedReportingOverflow(by: storage.size)
        guard !wide else { throw .memory(bytes: .max) }
        self.rows = rows
        self.columns = columns
        self.storage = storage
        memory = try Buffer(padded / Self.panel * Self.panel, width)
        scales = try Buffer(storage == .int8 ? padded / Self.panel * Self.panel : 0)
    }

    /// Bytes of memory that the elements take.
    public var byteCount: Int { memory.count + scales.count * 4 }

    private var packed: TransformerKernels.Packed {
        TransformerKernels.Packed(
            memory: UnsafeMutableRawPointer(memory.base), storage: storage.rawValue,
            scales: scales.base, rows: rows, columns: columns)
    }

    /// Replaces rows `firstRow ..< firstRow + source.count`.
    public func pack(firstRow: Int, _ source: Rows<Float>) {
        precondition(
            firstRow >= 0 && firstRow + source.count <= rows && source.columns == columns,
            "PackedMatrix: rows \(firstRow)..<\(firstRow + source.count) of \(rows)")
        // A panel at a time, so that no two threads share a cache line.
        let width = kernels.panelWidth, packed = packed
        let first = firstRow / width, last = (firstRow + source.count + width - 1) / width
        ThreadPool.shared.run(items: last - first, cost: width * columns * 8) { panels in
            for row in (first + panels.lowerBound) * width..<(first + panels.upperBound) * width
            where row >= firstRow && row < firstRow + source.count {
                kernels.pack(packed, row, source[row - firstRow])
            }
        }
    }

    /// Row `row` as it takes part in products.
    public func unpack(row: Int, to out: UnsafeMutablePointer<Float>) {
        precondition(row >= 0 && row < rows, "PackedMatrix: row \(row) of \(rows)")
        kernels.unpack(packed, row, out)
    }

    /// `y ← x Wᵀ`, or `y ← y + x Wᵀ` with the product rounded before it is added.
    ///
    /// - Parameters:
    ///   - y: `(m, outputs.count)`.
    ///   - x: `(m, columns)`.
    ///   - outputs: the rows of `W` to use, all by default; starts at a multiple of ``panel``.
    public func multiply(
        _ y: some RowMajor, x: some RowMajor, adding: Bool = false, outputs: Range<Int>? = nil
    ) {
        let outputs = checked(outputs)
        precondition(
            x.rows == y.rows && x.columns == columns && y.columns == outputs.count,
            """
            PackedMatrix: x (\(x.rows), \(x.columns)), W (\(outputs), \(columns)), \
            y (\(y.rows), \(y.columns))
            """)
        let (x0, ldx, ldy, m) = (
            UnsafePointer(x.base), x.leadingDimension, y.leadingDimension, x.rows
        )
        let y0 = y.base - outputs.lowerBound, packed = packed
        split(outputs, panel: kernels.panelWidth, rows: m, cost: columns) { columns in
            kernels.multiply(
                packed, .init(rows: 0..<m, columns: columns), x0, ldx, y0, ldy, adding)
        }
    }

    /// `dx ← dy W`, or `dx ← dx + dy W`.
    ///
    /// - Parameters:
    ///   - dx: `(m, columns)`.
    ///   - dy: `(m, outputs.count)`.
    public func multiplyTransposed(
        _ dx: some RowMajor, dy: some RowMajor, adding: Bool = false, outputs: Range<Int>? = nil
    ) {
        let outputs = checked(outputs)
        precondition(
            dx.rows == dy.rows && dx.columns == columns && dy.columns == outputs.count,
            """
            PackedMatrix: dy (\(dy.rows), \(dy.columns)), W (\(outputs), \(columns)), \
            dx (\(dx.rows), \(dx.columns))
            """)
        let (dy0, lddy, m) = (UnsafePointer(dy.base), dy.leadingDimension, dx.rows)
        let (dx0, lddx, packed) = (dx.base, dx.leadingDimension, packed)
        // Each part copies all of dy.
        split(0..<columns, panel: kernels.panelWidth, rows: m, cost: outputs.count, parts: 2) {
            columns in
            kernels.multiplyTransposed(
                packed, outputs.lowerBound, outputs.count, .init(rows: 0..<m, columns: columns),
                dy0, lddy, dx0, lddx, adding, fpo_scratch())
        }
    }

    private func checked(_ outputs: Range<Int>?) -> Range<Int> {
        let range = outputs ?? 0..<rows
        precondition(
            range.lowerBound % Self.panel == 0 && range.lowerBound >= 0
                && range.upperBound <= rows,
            "PackedMatrix: outputs \(range) of \(rows), to start at a multiple of \(Self.panel)")
        return range
    }
}

extension TransformerKernels {
    /// The kernels for this processor, or ``NumericsError/processor``.
    public static func forThisProcessor() throws(NumericsError) -> TransformerKernels {
        guard let table = CPU.transformer else { throw .processor }
        return table
    }
}

/// Calls `body` on ranges of panels that together make `columns`: as many as keep all threads busy
/// to the end, each worth its while, about `parts` for each thread.
func split(
    _ columns: Range<Int>, panel: Int, rows: Int, cost: Int, parts: Int = 8,
    _ body: (Range<Int>) -> Void
) {
    guard !columns.isEmpty, rows > 0 else { return }
    let panels = (columns.count + panel - 1) / panel
    let work = Double(panel * rows) * Double(max(cost, 1))
    let worthwhile = max(1, Int(min(200_000 / work, 1e9)))
    let size = max(worthwhile, panels / (ThreadPool.shared.count * parts)) * panel
    ThreadPool.shared.run(tasks: (columns.count - 1) / size + 1) { task in
        let start = columns.lowerBound + task * size
        body(start..<min(start + size, columns.upperBound))
    }
}
