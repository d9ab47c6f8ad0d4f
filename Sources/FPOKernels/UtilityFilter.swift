import FPOKernelTypes

/// A Kalman filter on the utility around the policy: level `a`, slope `b` and isotropic curvature
/// `q` at a reference `m`,
///
///     U(y) ≈ a + bᵀδ + ½ q ‖δ‖²,   δ = y − m
///
/// Labels are observations of it with variance `s² + ¼ h² ‖δ‖⁴`: the rater's noise, whose size is
/// estimated on the way, and the curvature that the model leaves out. The reference follows the
/// policy, and what is known fades only as far as the policy moves: over the length `ℓ` utility is
/// held to vary by `A`, so that `h = A / ℓ²` is the size of a curvature.
/// Derivation: docs/math/utility-filter.md.
struct UtilityFilter {
    let d: Int
    private var E: Int { d &+ 2 }  // a, b, q
    private var Q: Int { d &+ 1 }

    // State.
    let reference: WidePointer  // (d): m
    let mean: WidePointer  // (E)
    let covariance: WidePointer  // (E, E)
    let noise: WidePointer  // (1): s²
    // Scratch.
    let observed, product: WidePointer  // (E)

    /// Numbers of the state.
    static func stateCount(dimension d: Int) -> Int { d + (d + 2) + (d + 2) * (d + 2) + 1 }
    static func scratchCount(dimension d: Int) -> Int { 2 * (d + 2) }

    init(dimension d: Int, state: WidePointer, scratch: WidePointer) {
        self.d = d
        reference = state
        mean = state + d
        covariance = mean + (d &+ 2)
        noise = covariance + (d &+ 2) &* (d &+ 2)
        observed = scratch
        product = scratch + (d &+ 2)
    }

    /// The prior: what the reward model says of `theta`, as uncertain as `A` and `A / ℓ` allow.
    @inline(never)
    func begin(
        _ settings: UtilityFilterSettings, at theta: LanePointer, reward: Lanes, slope: LanePointer
    ) {
        let scale = settings.utilityScale, length = settings.lengthScale
        for i in 0..<E &* E { covariance[i] = Wide(0) }
        covariance[0] = Wide(scale * scale)
        mean[0] = Wide(reward)
        for i in 0..<d {
            reference[i] = Wide(theta[i])
            mean[i &+ 1] = Wide(slope[i])
            covariance[(i &+ 1) &* E &+ i &+ 1] = Wide(scale * scale / (length * length))
        }
        mean[Q] = Wide(0)
        let h = scale / (length * length)
        covariance[Q &* E &+ Q] = Wide(settings.estimatesCurvature ? h * h : 0)
        noise[0] = Wide(settings.noiseScale * settings.noiseScale)
    }

    /// Moves the reference to `theta`: half the way, then what the way adds to the uncertainty,
    /// then the other half.
    @inline(never)
    func move(_ settings: UtilityFilterSettings, to theta: LanePointer) {
        let step = observed  // (d) half of the way
        var square = Wide(0)
        for i in 0..<d {
            let target = Wide(theta[i])
            step[i] = 0.5 * (target - reference[i])
            square = square.adding(step[i], times: step[i])
            reference[i] = target
        }
        shift(step, square)
        let h = settings.utilityScale / (settings.lengthScale * settings.lengthScale)
        let grown = 4 * h * h * square
        for i in 1...d { covariance[i &* E &+ i] += grown }
        if settings.estimatesCurvature {
            covariance[Q &* E &+ Q] += (1 / (settings.lengthScale * settings.lengthScale)) * grown
        }
        shift(step, square)
    }

    /// `x ← F x` and `P ← F P Fᵀ`, with F the re-expansion of the quadratic about `m + v`.
    @inline(__always)
    private func shift(_ v: WidePointer, _ square: Wide) {
        let half = 0.5 * square
        mean[0] = (mean[0] + dot(d, v, mean + 1)).adding(half, times: mean[Q])
        for i in 0..<d { mean[i &+ 1] = mean[i &+ 1].adding(v[i], times: mean[Q]) }
        for column in 0..<E {
            let p = covariance + column
            var sum = p[0].adding(half, times: p[Q &* E])
            for i in 0..<d { sum = sum.adding(v[i], times: p[(i &+ 1) &* E]) }
            p[0] = sum
            for i in 1...d { p[i &* E] = p[i &* E].adding(v[i &- 1], times: p[Q &* E]) }
        }
        for row in 0..<E {
            let p = covariance + row &* E
            p[0] = (p[0] + dot(d, v, p + 1)).adding(half, times: p[Q])
            for i in 1...d { p[i] = p[i].adding(v[i &- 1], times: p[Q]) }
        }
    }

    /// Takes in the label `label` of an action.
    @inline(never)
    func observe(_ settings: UtilityFilterSettings, _ action: (Int) -> Lanes, label: Lanes) {
        var square = Wide(0)
        observed[0] = Wide(1)
        for i in 0..<d {
            let delta = Wide(action(i)) - reference[i]
            observed[i &+ 1] = delta
            square = square.adding(delta, times: delta)
        }
        observed[Q] = 0.5 * square
        for i in 0..<E { product[i] = dot(E, covariance + i &* E, observed) }
        let explained = dot(E, observed, product).atLeast(0)
        let surprise = Wide(label) - dot(E, observed, mean)
        let h = settings.utilityScale / (settings.lengthScale * settings.lengthScale)
        let unmodelled = (0.25 * h * h) * square * square
        let variance = noise[0] + unmodelled
        let inverse = Wide(1) / (explained + variance)
        for i in 0..<E {
            let gain = product[i] * inverse
            mean[i] = mean[i].adding(gain, times: surprise)
            let row = covariance + i &* E
            for j in 0..<E { row[j] = row[j] - gain * product[j] }
        }
        // One step of expectation maximisation for s²: the part of the remaining surprise that is
        // the rater's.
        let share = noise[0] / variance
        let rest = surprise * variance * inverse
        let spread = explained * variance * inverse
        let expected = share * share * (rest * rest + spread) + share * unmodelled
        let floor = 1e-6 * settings.utilityScale
        noise[0] = (noise[0] + settings.noiseMemory * (expected - noise[0])).atLeast(floor * floor)
    }
}
