import FPOKernelTypes

// The policy's objective `f(y) = r(y) − c ‖y − centre‖² − λ P(y)` with `P = e A`, and its slope in
// the action: by hand, or by forward differences.

extension Game {
    /// What the objective needs of one action: reward, alignment and overconfidence.
    struct Value {
        var reward, alignment, overconfidence: Lanes
        var factor: Lanes, flattery: Lanes
    }

    /// The value at `point.y`. `heldLabel` replaces the oracle's or the estimator's word.
    @inline(__always)
    func value(labelled count: Int, heldLabel: Lanes? = nil) -> Value {
        let reward = evaluateReward(backward: plan.alignment != .none)
        var value = Value(
            reward: reward, alignment: .zero, overconfidence: all(1), factor: .zero,
            flattery: .zero)
        switch plan.alignment {
        case .none: return value
        case .unit: value.alignment = all(1)
        case .norm: value.alignment = squaredNorm()
        case .direction: value.alignment = alongDirection()
        case .inverseNorm:
            steerAlongOwnGradient(count)
            value.alignment = alongDirection()
        }
        switch plan.overconfidence {
        case .one: break
        case .oracle:
            let label = labelUtility(point.y)
            value.factor = label.factor
            value.flattery = label.flattery
            value.overconfidence = reward - (heldLabel ?? label.value)
        case .estimate:
            value.overconfidence =
                count > 0 ? reward - (heldLabel ?? estimator.estimate(point.y)) : .zero
        }
        return value
    }

    /// The label that `value` compares the reward with.
    @inline(__always)
    private func label(_ value: Value) -> Lanes { value.reward - value.overconfidence }

    /// `slope ← ∇f` at `point.y`.
    @inline(__always)
    func objectiveSlope(labelled count: Int) {
        guard plan.alignment != .none else {
            _ = evaluateReward(backward: true)
            rewardSlope(point.slope)
            subtractCostSlope()
            return
        }
        let value = value(labelled: count)
        let weight = Element(plan.weight)
        // P = e A: ∇P = A ∇e + e ∇A with ∇e = ∇r − ∇label.
        let pull = plan.overconfidence == .one ? Lanes.zero : value.alignment * weight
        let factor: Lanes
        var push = value.overconfidence * -weight
        switch plan.alignment {
        case .norm: factor = squaredNormGradient()
        case .unit:
            factor = .zero
            push = .zero
        case .inverseNorm:
            // ⟨g, w(g)⟩ is quadratic in g.
            push *= 2
            fallthrough
        default:
            factor = .zero
            alongDirectionGradient()
        }
        // With no label yet the residual penalty is absent, not constant.
        let attached = plan.overconfidence == .estimate && count == 0 ? Lanes.zero : pull
        combinedSlope(point.slope, 1 - attached, push, factor: factor)
        if plan.labelSlope { addLabelSlope(attached, value) }
        subtractCostSlope()
    }

    /// `slope += a ∇label`.
    @inline(__always)
    private func addLabelSlope(_ a: Lanes, _ value: Value) {
        let slope = point.slope
        if plan.overconfidence == .estimate {
            for i in 0..<d { slope[i] = fma(a, estimator.slope(point.y, i), slope[i]) }
            return
        }
        let target = Element(plan.utilityTarget)
        let scaled = a * value.factor
        for i in 0..<d {
            let x = i < plan.signalDimension ? point.y[i] - target : point.y[i]
            slope[i] = fma(scaled, x, slope[i])
        }
        slope[plan.signalDimension] = fma(a, value.flattery, slope[plan.signalDimension])
    }

    @inline(__always)
    private func subtractCostSlope() {
        let factor = Element(-2 * plan.actionCost)
        for i in 0..<d {
            point.slope[i] = fma(
                point.y[i] - Element(plan.centre[i]), all(factor), point.slope[i])
        }
    }

    /// `slope ← (f(y + ε eᵢ) − f(y)) / ε`.
    @inline(never)
    func differenceSlope(labelled count: Int) {
        let step = Element(plan.differenceStep)
        func objective(_ held: Lanes?) -> (f: Lanes, label: Lanes) {
            let value = value(labelled: count, heldLabel: held)
            var cost = Lanes.zero
            for i in 0..<d {
                let x = point.y[i] - Element(plan.centre[i])
                cost = fma(x, x, cost)
            }
            let penalty = value.overconfidence * value.alignment * Element(plan.weight)
            return (value.reward - penalty - cost * Element(plan.actionCost), label(value))
        }
        let base = objective(nil)
        let held = plan.labelSlope || plan.overconfidence == .one ? nil : base.label
        for i in 0..<d {
            let y = point.y[i]
            point.y[i] = y + step
            point.slope[i] = (objective(held).f - base.f) / step
            point.y[i] = y
        }
    }
}
