public import FPONumerics

/// Exact equilibria of zero-sum matrix games, by linear programming.
///
/// The row player has payoff `pᵀ A q`. With `B = 1 + (A − min)/(max − min)`, whose entries are in
/// [1, 2], the optimum of
///
///     maximise Σ y  subject to  B y ≤ 1, y ≥ 0
///
/// is `1/v` with `v` the value of `B`; `q = v y`, and `p = v x` with the dual solution `x`. Dense
/// simplex: the steepest column, and Bland's rule where that cycles. The result is checked: no pure
/// strategy gains more than 1e-9 of the range of `A` against it.
///
/// A matrix `P` of preferences, `P + Pᵀ = 1`, is the symmetric game `A = P − ½` of value 0, and its
/// equilibrium the von Neumann winner: a mixture that is preferred to every response at least half
/// of the time. Dudík et al., arXiv:1502.06362; Munos et al., arXiv:2312.00886, §3.
public struct MatrixGame: ~Copyable {
    /// The row player's mixture (m), and the column player's (n).
    public let row: Buffer<Double>
    public let column: Buffer<Double>
    public let value: Double

    public init(_ A: Rows<Double>) throws(NumericsError) {
        let (m, n) = (A.count, A.columns)
        let row = try Buffer<Double>(m), column = try Buffer<Double>(n)
        var (least, greatest) = (A[0][0], A[0][0])
        for i in 0..<m {
            for j in 0..<n {
                least = min(least, A[i][j])
                greatest = max(greatest, A[i][j])
            }
        }
        let range = greatest - least
        guard range.isFinite else { throw .overflow }
        if range > 0 {
            var simplex = try Simplex(m, n) { i, j in 1 + (A[i][j] - least) / range }
            try simplex.solve()
            simplex.copy(to: row.base, column.base)
            let gap = Self.gap(A, row.base, column.base, least, range)
            guard gap < 1e-9 else {
                throw .noConvergence(iterations: simplex.pivots, residual: gap)
            }
        } else {
            for i in 0..<m { row.base[i] = 1 / Double(m) }
            for j in 0..<n { column.base[j] = 1 / Double(n) }
        }
        var expected = 0.0
        for i in 0..<m {
            for j in 0..<n {
                expected += row.base[i] * column.base[j] * (A[i][j] - least)
            }
        }
        value = least + expected
        self.row = row
        self.column = column
    }

    /// What the best pure strategies gain together, in units of the range.
    private static func gap(
        _ A: Rows<Double>, _ p: UnsafePointer<Double>, _ q: UnsafePointer<Double>,
        _ least: Double, _ range: Double
    ) -> Double {
        var (best, worst) = (-Double.infinity, Double.infinity)
        for i in 0..<A.count {
            var payoff = 0.0
            for j in 0..<A.columns { payoff += q[j] * ((A[i][j] - least) / range) }
            best = max(best, payoff)
        }
        for j in 0..<A.columns {
            var payoff = 0.0
            for i in 0..<A.count { payoff += p[i] * ((A[i][j] - least) / range) }
            worst = min(worst, payoff)
        }
        return best - worst
    }
}

/// The tableau `[B | I | 1]` over the objective row.
private struct Simplex: ~Copyable {
    let m: Int, n: Int, width: Int
    let table: Buffer<Double>
    let basis: Buffer<Int>
    var pivots = 0

    init(_ m: Int, _ n: Int, _ entry: (Int, Int) -> Double) throws(NumericsError) {
        let width = n + m + 1
        let table = try Buffer<Double>(m + 1, width), basis = try Buffer<Int>(m)
        for i in 0..<m {
            for j in 0..<n { table.base[i * width + j] = entry(i, j) }
            table.base[i * width + n + i] = 1
            table.base[i * width + width - 1] = 1
            basis.base[i] = n + i
        }
        for j in 0..<n { table.base[m * width + j] = -1 }
        (self.m, self.n, self.width) = (m, n, width)
        self.table = table
        self.basis = basis
    }

    mutating func solve() throws(NumericsError) {
        let tolerance = 1e-12
        let patience = 20 * (m + n), limit = 100 * (m + n) + 1000
        let objective = table.base + m * width
        while true {
            var entering = -1
            for j in 0..<(n + m) where objective[j] < -tolerance {
                if entering < 0 || (pivots < patience && objective[j] < objective[entering]) {
                    entering = j
                }
            }
            guard entering >= 0 else { return }
            var leaving = -1, least = Double.infinity
            for i in 0..<m {
                let slope = table.base[i * width + entering]
                guard slope > tolerance else { continue }
                let ratio = table.base[i * width + width - 1] / slope
                let isTie = leaving >= 0 && ratio == least && basis.base[i] < basis.base[leaving]
                if ratio < least || isTie { (leaving, least) = (i, ratio) }
            }
            guard leaving >= 0, pivots < limit else {
                throw .noConvergence(iterations: pivots, residual: -objective[entering])
            }
            pivot(leaving, entering)
            pivots += 1
        }
    }

    private func pivot(_ row: Int, _ column: Int) {
        let own = table.base + row * width
        let scale = 1 / own[column]
        for j in 0..<width { own[j] *= scale }
        own[column] = 1
        for i in 0...m where i != row {
            let other = table.base + i * width, factor = other[column]
            guard factor != 0 else { continue }
            for j in 0..<width { other[j] -= factor * own[j] }
            other[column] = 0
        }
        basis.base[row] = column
    }

    /// Mixtures of both players: nonnegative, of sum 1.
    func copy(to p: UnsafeMutablePointer<Double>, _ q: UnsafeMutablePointer<Double>) {
        for i in 0..<m { p[i] = max(table.base[m * width + n + i], 0) }
        for j in 0..<n { q[j] = 0 }
        for i in 0..<m where basis.base[i] < n {
            q[basis.base[i]] = max(table.base[i * width + width - 1], 0)
        }
        normalize(m, p)
        normalize(n, q)
    }

    private func normalize(_ count: Int, _ x: UnsafeMutablePointer<Double>) {
        var sum = 0.0
        for i in 0..<count { sum += x[i] }
        for i in 0..<count { x[i] /= sum }
    }
}
