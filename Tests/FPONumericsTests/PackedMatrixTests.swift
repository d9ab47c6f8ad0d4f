import FPONumerics
import FPOTestSupport
import Testing

private func packed(_ w: Matrix<Float>, _ storage: PackedMatrix.Storage) throws -> PackedMatrix {
    let matrix = try PackedMatrix(rows: w.rows, columns: w.columns, storage: storage)
    // In two parts, the second one first.
    let first = w.rows / 3
    for part in [first..<w.rows, 0..<first] {
        matrix.pack(
            firstRow: part.lowerBound,
            Rows(
                base: UnsafePointer(w.base + part.lowerBound * w.columns), count: part.count,
                columns: w.columns, leadingDimension: w.columns))
    }
    return matrix
}

/// The matrix as products see it.
private func elements(_ matrix: PackedMatrix) -> [Double] {
    let row = floats([Double](repeating: 0, count: matrix.columns))
    return (0..<matrix.rows).flatMap { i in
        matrix.unpack(row: i, to: row.base)
        return row.doubles
    }
}

private func zeros(_ rows: Int, _ columns: Int) -> Matrix<Float> {
    floats([Double](repeating: 0, count: rows * columns), rows: rows)
}

private let storages: [PackedMatrix.Storage] = [.float32, .bfloat16, .int8]
private let shapes = [(1, 1), (33, 7), (64, 33), (40, 90), (300, 19)]

@Suite(.serialized) struct PackedMatrixTests {
    @Test(arguments: storages)
    func storageRounds(_ storage: PackedMatrix.Storage) throws {
        let w = floats(wave(1, 50 * 21), rows: 50), stored = elements(try packed(w, storage))
        for i in 0..<50 {
            let row = w.row(i).doubles, largest = row.map(\.magnitude).max()!
            for j in 0..<21 {
                let error = (stored[i * 21 + j] - row[j]).magnitude
                switch storage {
                case .float32: #expect(error == 0)
                case .bfloat16: #expect(error <= row[j].magnitude * 0x1p-8)
                case .int8: #expect(error <= largest / 254 * 1.00001)
                }
            }
        }
    }

    /// Both products against sums in double, for sizes that leave remainders everywhere.
    @Test(arguments: storages, shapes)
    func productsAreTheNaiveSums(
        _ storage: PackedMatrix.Storage, _ shape: (outputs: Int, inputs: Int)
    ) throws {
        let (O, I) = shape
        let matrix = try packed(floats(wave(1, O * I), rows: O), storage), w = elements(matrix)
        for m in O * I < 300 ? [1, 2, 5, 7, 8, 9, 13, 200] : [1, 9, 13] {
            for first in O > 32 ? [0, 32] : [0] {
                let x = floats(wave(2, m * I), rows: m), n = O - first
                let y = floats(wave(3, m * n), rows: m), before = y.doubles
                matrix.multiply(y, x: x, adding: true, outputs: first..<O)
                let dx = zeros(m, I)
                matrix.multiplyTransposed(dx, dy: y, outputs: first..<O)
                var sums = before, slopes = [Double](repeating: 0, count: m * I)
                for i in 0..<m {
                    for o in 0..<n {
                        for j in 0..<I {
                            let element = w[(first + o) * I + j]
                            sums[i * n + o] += Double(x[i, j]) * element
                            slopes[i * I + j] += Double(y[i, o]) * element
                        }
                    }
                }
                #expect(relativeError(y.doubles, sums) < 3e-6)
                #expect(relativeError(dx.doubles, slopes) < 1e-5)
            }
        }
    }

    /// A row's product has the same bits alone and among others, on one thread and on two.
    @Test(arguments: storages)
    func batchAndThreadsChangeNoBit(_ storage: PackedMatrix.Storage) throws {
        let matrix = try packed(floats(wave(1, 500 * 300), rows: 500), storage)
        let x = floats(wave(2, 40 * 300), rows: 40), all = zeros(40, 500), back = zeros(40, 300)
        defer { ThreadPool.shared.count = 0 }
        ThreadPool.shared.count = 1
        matrix.multiply(all, x: x)
        matrix.multiplyTransposed(back, dy: all)
        ThreadPool.shared.count = 2
        for m in 1...13 {
            let y = zeros(m, 500), dx = zeros(m, 300)
            matrix.multiply(y, x: x.rows(40 - m, count: m))
            matrix.multiplyTransposed(dx, dy: y)
            #expect(y.doubles == all.rows(40 - m, count: m).doubles)
            #expect(dx.doubles == back.rows(40 - m, count: m).doubles)
        }
    }

    @Test func notANumberStaysInItsRow() throws {
        let w = floats(wave(1, 40 * 9), rows: 40), x = floats(wave(2, 9)), y = zeros(1, 40)
        (w[3, 4], w[5, 0]) = (.nan, .infinity)
        for storage in storages {
            try packed(w, storage).multiply(y, x: x)
            #expect(y[0, 3].isNaN && !y[0, 5].isFinite && y[0, 4].isFinite)
        }
    }

    @Test func sizesBeyondMemoryThrow() {
        #expect(throws: NumericsError.self) {
            try PackedMatrix(rows: .max, columns: 2, storage: .float32)
        }
        #expect(throws: NumericsError.self) {
            try PackedMatrix(rows: 1 << 40, columns: 1 << 40, storage: .int8)
        }
    }

    /// Rows so long that they are copied, in more than one block, with the bits of a plain product.
    @Test(arguments: [false, true])
    func wideSlopesGiveTheSameBits(_ adding: Bool) throws {
        let (outputs, inputs, m) = (8229, 37, 201)
        let w = floats(wave(1, outputs * inputs), rows: outputs)
        let dy = floats(wave(2, m * outputs), rows: m)
        let dx = floats(wave(3, m * inputs), rows: m), same = floats(wave(3, m * inputs), rows: m)
        try packed(w, .float32).multiplyTransposed(dx, dy: dy, adding: adding)
        GEMM.multiply(same, dy, w, adding: adding)
        #expect(dx.doubles == same.doubles)
    }
}
