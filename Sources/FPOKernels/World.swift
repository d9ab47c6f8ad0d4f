import FPOKernelTypes

// What the policy is there for, and what raters make of it.

extension Game {
    /// `U(y)` and the factor `c` of its slope `∇U = c (y − ideal)`.
    @inline(__always)
    func utility(_ y: LanePointer) -> (value: Lanes, factor: Lanes) {
        let target = Element(plan.utilityTarget)
        var distance = Lanes.zero
        for i in 0..<plan.signalDimension {
            let x = y[i] - target
            distance = fma(x, x, distance)
        }
        for i in plan.signalDimension..<d { distance = fma(y[i], y[i], distance) }
        let value =
            exponential(distance * Element(-plan.utilityDecay)) * Element(plan.utilityPeak)
        return (value, value * Element(-2 * plan.utilityDecay))
    }

    /// What a noise-free label says of `y`, and its slope at the flattery coordinate beyond `∇U`.
    @inline(__always)
    func labelUtility(_ y: LanePointer) -> (value: Lanes, factor: Lanes, flattery: Lanes) {
        let (value, factor) = utility(y)
        guard plan.labelBias != 0 else { return (value, factor, .zero) }
        let t = hyperbolicTangent(y[plan.signalDimension])
        let bias = Element(plan.labelBias)
        return (fma(t, all(bias), value), factor, (1 - t * t) * bias)
    }
}
