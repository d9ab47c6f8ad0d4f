import FPOKernelTypes

/// The residual penalty's utility estimate `Û(y) = ū + (y − μ)ᵀ β`: ridge regression around the
/// mean of the labels in a buffer,
///
///     β = (XᵀX + κ I)⁻¹ Xᵀ (U − ū),   X = y − μ
struct Estimator {
    let d: Int
    let mean, slope: LanePointer  // (d): μ and β
    let level: LanePointer  // (1): ū

    init(dimension d: Int, _ take: (Int) -> LanePointer) {
        self.d = d
        mean = take(d)
        slope = take(d)
        level = take(d > 0 ? 1 : 0)
    }

    @inline(__always)
    func estimate(_ y: LanePointer) -> Lanes {
        var value = level[0]
        for i in 0..<d { value = fma(slope[i], y[i] - mean[i], value) }
        return value
    }

    /// Fits the first `count >= 1` labels; `centred` (d, capacity) and `normal` (d, d) are scratch.
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
        sampleProducts(normal, d, d, centred, centred, stride: n, count: count)
        for i in 0..<d { normal[i &* d &+ i] += Element(kappa) }
        choleskyFactor(normal, d, stride: d)
        choleskySolve(normal, d, stride: d, slope)
    }
}
