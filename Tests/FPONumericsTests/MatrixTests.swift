import FPONumerics
import Testing

@Test func matricesAreRowMajorViews() {
    var elements = (0..<12).map(Double.init)
    elements.withUnsafeMutableBufferPointer { memory in
        let m = Matrix(base: memory.baseAddress!, rows: 3, columns: 4)
        #expect(m.count == 12)
        #expect(m[0, 3] == 3 && m[1, 0] == 4 && m[2, 3] == 11)
        let row = m.row(1), rows = m.rows(1, count: 2)
        #expect(row.rows == 1 && row.columns == 4 && row[0, 2] == 6)
        #expect(rows.rows == 2 && rows.columns == 4 && rows[1, 2] == 10)
        rows[0, 0] = -1
        m.row(2).fill(5)
        m.rows(0, count: 0).fill(99)
    }
    #expect(elements == [0, 1, 2, 3, -1, 5, 6, 7, 5, 5, 5, 5])
}
