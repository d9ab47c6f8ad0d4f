public import FPONumerics

/// `y` row `i` is the table's row `tokens[i]`.
public enum Embedding {
    /// From a packed table, such as a tied output layer's.
    public static func forward(
        _ y: Matrix<Float>, tokens: UnsafePointer<Int32>, table: PackedMatrix
    ) {
        precondition(y.columns == table.columns, "Embedding: \(y.columns) of \(table.columns)")
        ThreadPool.shared.run(items: y.rows, cost: 8 * y.columns) { rows in
            for i in rows { table.unpack(row: Int(tokens[i]), to: y.base + i * y.columns) }
        }
    }

    /// `y ← table[tokens]`, or `y += table[tokens]` where `adding`, as for the sum of word, position
    /// and type embeddings.
    public static func forward(
        _ y: Matrix<Float>, tokens: UnsafePointer<Int32>, table: Matrix<Float>,
        adding: Bool = false
    ) {
        let n = y.columns, add = transformerKernels.layers.add
        check(tokens, y.rows, y, table)
        ThreadPool.shared.run(items: y.rows, cost: n) { rows in
            for i in rows {
                let row = table.base + Int(tokens[i]) * n
                if adding {
                    add(n, 1, row, y.base + i * n)
                } else {
                    (y.base + i * n).update(from: row, count: n)
                }
            }
        }
    }

    /// `dTable[tokens[i]] += dy[i]`, in the order of `i`.
    public static func backward(
        dTable: Matrix<Float>, tokens: UnsafePointer<Int32>, dy: Matrix<Float>
    ) {
        let n = dy.columns, add = transformerKernels.layers.add
        check(tokens, dy.rows, dy, dTable)
        FPOLayers.columns(n, rows: dy.rows) { range in
            for i in 0..<dy.rows {
                add(
                    range.count, 1, dy.base + i * n + range.lowerBound,
                    dTable.base + Int(tokens[i]) * n + range.lowerBound)
            }
        }
    }

    private static func check(
        _ tokens: UnsafePointer<Int32>, _ count: Int, _ y: Matrix<Float>, _ table: Matrix<Float>
    ) {
        precondition(y.columns == table.columns, "Embedding: \(y.columns) of \(table.columns)")
        for i in 0..<count {
            precondition(
                tokens[i] >= 0 && tokens[i] < table.rows,
                "Embedding: token \(tokens[i]) of \(table.rows)")
        }
    }
}
