public import FPONumerics

/// `y` row `i` is the table's row `tokens[i]`.
public enum Embedding {
    /// From a packed table, such as a tied output layer's.
    public static func forward(
        _ y: Matrix<Float>, tokens: UnsafePointer<Int32>, table: PackedMatrix
    ) {
        precondition(y.columns == table.columns, "Embedding: \(y.columns) of \(table.columns)")
        ThreadPool.shared.run(items: y.rows, cost: 4 * y.columns) { rows in
            for i in rows { table.unpack(row: Int(tokens[i]), to: y.base + i * y.columns) }
        }
    }

    /// `y += table[tokens]` where `adding`, as for the sum of word, position and type embeddings.
    public static func forward(
        _ y: Matrix<Float>, tokens: UnsafePointer<Int32>, table: Matrix<Float>,
        adding: Bool = false
    ) {
        precondition(y.columns == table.columns, "Embedding: \(y.columns) of \(table.columns)")
        ThreadPool.shared.run(items: y.rows, cost: 4 * y.columns) { rows in
            for i in rows {
                let token = Int(tokens[i])
                precondition(token >= 0 && token < table.rows, "Embedding: token \(token)")
                for j in 0..<y.columns { y[i, j] = (adding ? y[i, j] : 0) + table[token, j] }
            }
        }
    }

    /// `dTable[tokens[i]] += dy[i]`, in the order of `i`.
    public static func backward(
        dTable: Matrix<Float>, tokens: UnsafePointer<Int32>, dy: Matrix<Float>
    ) {
        for i in 0..<dy.rows {
            addProduct(
                dy.columns, 1, dy.base + i * dy.columns,
                to: dTable.base + Int(tokens[i]) * dTable.columns)
        }
    }
}
