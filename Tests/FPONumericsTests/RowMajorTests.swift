import FPONumerics
import FPOTestSupport
import Testing

@Test func columnsKeepTheRowsOfTheirMatrix() {
    let x = floats(wave(1, 12), rows: 3), block = x.columns(1..<3)
    #expect(block.rows == 3 && block.columns == 2 && block.leadingDimension == 4)
    #expect(block.base[2 * block.leadingDimension + 1] == x[2, 2])
}
