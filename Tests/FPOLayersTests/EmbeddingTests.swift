import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

@Test func embeddingLooksUpAndAddsBack() throws {
    let table = floats(wave(1, 70 * 9), rows: 70), tokens: [Int32] = [69, 0, 33, 0]
    let y = ones(36, rows: 4), packed = ones(36, rows: 4), dTable = ones(630, rows: 70)
    Embedding.forward(y, tokens: tokens, table: table)
    let matrix = try PackedMatrix(rows: 70, columns: 9, storage: .float32)
    matrix.pack(
        firstRow: 0,
        Rows(base: UnsafePointer(table.base), count: 70, columns: 9, leadingDimension: 9))
    Embedding.forward(packed, tokens: tokens, table: matrix)
    Embedding.backward(dTable: dTable, tokens: tokens, dy: y)
    for i in 0..<4 {
        for j in 0..<9 {
            #expect(y[i, j] == table[Int(tokens[i]), j] && packed[i, j] == y[i, j])
        }
    }
    #expect(dTable[33, 4] == 1 + table[33, 4] && dTable[0, 2] == 1 + table[0, 2] + table[0, 2])
    #expect(dTable[1, 2] == 1)
    Embedding.forward(y, tokens: tokens, table: table, adding: true)
    #expect(y[0, 3] == 2 * table[69, 3])
}
