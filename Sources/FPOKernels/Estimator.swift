import FPOKernelTypes

/// The residual penalty's utility estimate, a quadratic around a reference `μ`:
///
///     Û(y) = ū + (y − μ)ᵀ β + ½ q ‖y − μ‖²
///
/// It is fitted once a round, to labels of earlier rounds: by ridge regression (q = 0) or by the
/// ``UtilityFilter``.
struct Estimator {
    let d: Int
    let mean, slope: LanePointer  // (d): μ and β
    let level, curvature: LanePointer  // (1): ū and q

    init(dimension d: Int, _ take: (Int) -> LanePointer) {
        self.d = d
        mean = take(d)
        slope = take(d)
        level = take(d > 0 ? 1 : 0)
        curvature = take(d > 0 ? 1 : 0)
    }

    @inline(__always)
    func estimate(_ y: LanePointer) -> Lanes {
        var value = level[0], square = Lanes.zero
        for i in 0..<d {
            let x = y[i] - mean[i]
            value = fma(slope[i], x, value)
            square = fma(x, x, square)
        }
        return fma(0.5 * curvature[0], square, value)
    }

    /// `∂Û/∂yᵢ`.
    @inline(__always)
    func slope(_ y: LanePointer, _ i: Int) -> Lanes {
        fma(curvature[0], y[i] - mean[i], slope[i])
    }

    /// Takes over the filter's mean. A convex curvature is not believed: it would send the policy
    /// away for ever.
    @inline(__always)
    func adopt(_ filter: UtilityFilter) {
        level[0] = filter.mean[0].rounded
        for i in 0..<d {
            mean[i] = filter.reference[i].rounded
            slope[i] = filter.mean[i &+ 1].rounded
        }
        curvature[0] = clamp(filter.mean[d &+ 1].rounded, -.greatestFiniteMagnitude, 0)
    }

    /// Ridge regression around the mean of the first `count >= 1` labels,
    ///
    ///     β = (XᵀX + κ I)⁻¹ Xᵀ (U − ū),   X = y − μ
    ///
    /// `centred` (d, capacity) and `normal` (d, d) are scratch.
    @inline(never)
    func fitRidge(
        _ labels: LabelBuffer, _ count: Int, kappa: Double, centred: LanePointer,
        normal: LanePointer
    ) {
        let n = labels.capacity
        let inverse = 1 / Element(count)
        var sum = Lanes.zero
        for s in 0..<count { sum += labels.values[s] }
        level[0] = sum * inverse
        curvature[0] = .zero
        for i in 0..<d {
            let row = labels.actions + i &* n
            var sum = Lanes.zero
            for s in 0..<count { sum += row[s] }
            mean[i] = sum * inverse
            for s in 0..<count { centred[i &* n &+ s] = row[s] - mean[i] }
        }
        for i in 0..<d {
            let row = centred + i &* n
            var sum = Lanes.zero
            for s in 0..<count { sum = fma(row[s], labels.values[s] - level[0], sum) }
            slope[i] = sum
        }
        let rows = Factor(centred, across: n, along: 1)
        forEachProduct(rows, d, rows, 0..<d, depth: count) { normal[$0 &* d &+ $1] = $2 }
        for i in 0..<d { normal[i &* d &+ i] += Element(kappa) }
        choleskyFactor(normal, d, stride: d)
        choleskySolve(normal, d, stride: d, slope)
    }
}
