/// A weight matrix `W (rows, columns)` = (outputs, inputs) in the order that products read it.
///
/// Rows stand in panels of ``panel``; a panel holds, for each column, its rows' elements side by
/// side. `pack` any rows at any time; a product may not run meanwhile.
public final class PackedMatrix: @unchecked Sendable {
    public enum Storage: Int32, Sendable {
        case float32 = 0
        /// Rounded to the nearest, ties to even.
        case bfloat16 = 1
        /// `round(w / s)` with one scale `s = max |w| / 127` for each row.
        case int8 = 2
    }

    /// Ranges of outputs start at multiples of it, at every CPU level.
    public static let panel = 32

    public let rows, columns: Int
    public let storage: Storage
    private let memory: Buffer<Float>

    public init(rows: Int, columns: Int, storage: Storage) throws(NumericsError) {
        self.rows = rows
        self.columns = columns
        self.storage = storage
        memory = try Buffer(rows, columns)
    }

    /// Bytes of memory that the elements take.
    public var byteCount: Int { memory.count * 4 }

    /// Replaces rows `firstRow ..< firstRow + source.count`.
    public func pack(firstRow: Int, _ source: Rows<Float>) {
        precondition(
            firstRow >= 0 && firstRow + source.count <= rows && source.columns == columns,
            "PackedMatrix: rows \(firstRow)..<\(firstRow + source.count) of \(rows)")
        for i in 0..<source.count {
            (memory.base + (firstRow + i) * columns).update(from: source[i], count: columns)
        }
    }

    /// Row `row` as it takes part in products.
    public func unpack(row: Int, to out: UnsafeMutablePointer<Float>) {
        precondition(row >= 0 && row < rows, "PackedMatrix: row \(row) of \(rows)")
        out.update(from: memory.base + row * columns, count: columns)
    }

    /// `y ← x Wᵀ`, or `y ← y + x Wᵀ` with the product rounded before it is added.
    ///
    /// - Parameters:
    ///   - y: `(m, outputs.count)`, `m ≥ 1`.
    ///   - x: `(m, columns)`.
    ///   - outputs: the rows of `W` to use, all by default; starts at a multiple of ``panel``.
    public func multiply(
        _ y: some RowMajor, x: some RowMajor, adding: Bool = false, outputs: Range<Int>? = nil
    ) {
        let outputs = checked(outputs)
        precondition(
            x.rows == y.rows && x.columns == columns && y.columns == outputs.count,
            "PackedMatrix: x (\(x.rows), \(x.columns)), W (\(outputs), \(columns)), "
                + "y (\(y.rows), \(y.columns))")
        let (yBase, ldy, xBase, ldx, m) = (
            y.base, y.leadingDimension, x.base, x.leadingDimension, x.rows
        )
        ThreadPool.shared.run(items: outputs.count, cost: m * columns) { range in
            for i in 0..<m {
                for o in range {
                    let w = self.memory.base + (outputs.lowerBound + o) * self.columns
                    let sum = dot(self.columns, xBase + i * ldx, w)
                    yBase[i * ldy + o] = adding ? yBase[i * ldy + o] + sum : sum
                }
            }
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
            "PackedMatrix: dy (\(dy.rows), \(dy.columns)), W (\(outputs), \(columns)), "
                + "dx (\(dx.rows), \(dx.columns))")
        let (dxBase, lddx, dyBase, lddy) = (
            dx.base, dx.leadingDimension, dy.base, dy.leadingDimension
        )
        ThreadPool.shared.run(items: dx.rows, cost: outputs.count * columns) { range in
            for i in range {
                let out = dxBase + i * lddx
                if !adding { out.update(repeating: 0, count: self.columns) }
                for o in 0..<outputs.count {
                    addProduct(
                        self.columns, dyBase[i * lddy + o],
                        self.memory.base + (outputs.lowerBound + o) * self.columns, to: out)
                }
            }
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
