import FPOKernelTypes
import Glibc

/// Off-policy probes of the reward model's error: `θ` plus unit normals.
let probeCount = 16

extension Game {
    // MARK: The world

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

    // MARK: The policy's objective

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
    private func objectiveSlope(labelled count: Int) {
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
    private func differenceSlope(labelled count: Int) {
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

    // MARK: Draws

    /// Standard normals, `count` of each game, into `draws`: the first of the round's key.
    @inline(__always)
    private func draw(
        _ key: (StreamKeys) -> UInt64, round: Int, _ count: Int, into out: LanePointer
    ) {
        var k0 = Words.zero, k1 = Words.zero
        for lane in 0..<Words.scalarCount {
            let word = key(group.keys[lane])
            k0[lane] = UInt32(truncatingIfNeeded: word)
            k1[lane] = UInt32(truncatingIfNeeded: word >> 32)
        }
        let index = Words(repeating: UInt32(truncatingIfNeeded: round))
        let (r0, r1) = threefry(~k0, ~k1, index, .zero)  // the fold of the key
        var i = 0
        while i < count {
            let counter = Words(repeating: UInt32(truncatingIfNeeded: i / 2))
            (out[i], out[i &+ 1]) = normals(threefry(r0, r1, counter, .zero))
            i &+= 2
        }
    }

    /// Given normals of a round, (games, rounds, count).
    @inline(__always)
    private func copyDraws(_ given: UnsafePointer<Double>, round: Int, _ count: Int) {
        for lane in 0..<Lanes.scalarCount {
            let row = given + (group.games[lane] &* plan.rounds &+ round) &* count
            for i in 0..<count { draws[i][lane] = Element(row[i]) }
        }
    }

    // MARK: A round

    /// `final + (initial − final) (1 − progressᵖ)`.
    @inline(__always)
    private func annealed(_ initial: Double, _ final: Double, _ round: Int) -> Double {
        let progress = Double(round) / Double(plan.rounds)
        return final + (initial - final) * (1 - pow(progress, plan.annealingPower))
    }

    /// Labels in the buffer at the start of a round.
    @inline(__always)
    func labelled(_ round: Int) -> Int { labels.count(after: round, each: plan.labelsPerRound) }

    @inline(never)
    func updatePolicy(_ round: Int) {
        let count = labelled(round)
        if plan.alignment == .direction || plan.alignment == .inverseNorm { prepareSteering(count) }
        if plan.overconfidence == .estimate && round > 0 { updateEstimator(round) }
        let draws = plan.innerSteps &* d
        let sigma = annealed(plan.exploration, plan.explorationFinal, round)
        let rate = all(Element(annealed(plan.policyRate, plan.policyRateFinal, round)))
        let clip = Element(plan.gradientClip)
        if let given = plan.innerNoise {
            copyDraws(given, round: round, draws)
        } else if sigma != 0 {
            draw({ $0.inner }, round: round, draws, into: self.draws)
        } else {
            fill(self.draws, draws)
        }
        for step in 0..<plan.innerSteps {
            let z = self.draws + step &* d
            for i in 0..<d { point.y[i] = fma(z[i], all(Element(sigma)), theta[i]) }
            if plan.differenceStep > 0 {
                differenceSlope(labelled: count)
            } else {
                objectiveSlope(labelled: count)
            }
            for i in 0..<d {
                theta[i] = fma(clamp(point.slope[i], -clip, clip), rate, theta[i])
            }
        }
    }

    /// Buys the round's labels.
    @inline(never)
    func buyLabels(_ round: Int) {
        let each = plan.labelsPerRound
        let sigma = annealed(plan.exploration, plan.explorationFinal, round) * plan.labelExploration
        if let given = plan.labelDraws {
            copyDraws(given, round: round, each &* d)
        } else if sigma != 0 {
            draw({ $0.label }, round: round, each &* d, into: draws)
        } else {
            fill(draws, each &* d)
        }
        let noise = draws + (each &* d &+ (each &* d) % 2)
        if plan.labelNoise > 0 { draw({ $0.labelNoise }, round: round, each, into: noise) }
        let separate = estimatorLabels.values != labels.values
        for label in 0..<each {
            let z = draws + label &* d
            for i in 0..<d { point.y[i] = fma(z[i], all(Element(sigma)), theta[i]) }
            var value = labelUtility(point.y).value
            if plan.labelNoise > 0 {
                value = fma(noise[label], all(Element(plan.labelNoise)), value)
            }
            store(value, in: labels, at: round &* each &+ label)
            if separate { store(value, in: estimatorLabels, at: round &* each &+ label) }
        }
    }

    /// Fits the estimator to the labels of the rounds before.
    @inline(never)
    private func updateEstimator(_ round: Int) {
        let each = plan.labelsPerRound
        switch plan.estimator {
        case .ridge:
            estimator.fitRidge(
                estimatorLabels, estimatorLabels.count(after: round, each: each),
                kappa: plan.kappa, centred: estimatorScratch, normal: estimatorNormal)
        case .kalman:
            if round == 1 {
                for i in 0..<d { point.y[i] = theta[i] }
                let reward = evaluateReward(backward: true)
                rewardSlope(point.slope)
                filter.begin(plan, at: theta, reward: reward, slope: point.slope)
            } else {
                filter.move(plan, to: theta)
            }
            for label in (round &- 1) &* each..<round &* each {
                let slot = label % labels.capacity
                filter.observe(
                    plan, { labels.actions[$0 &* labels.capacity &+ slot] },
                    label: labels.values[slot])
            }
            estimator.adopt(filter)
        }
    }

    @inline(__always)
    private func store(_ value: Lanes, in buffer: LabelBuffer, at index: Int) {
        let slot = index % buffer.capacity
        for i in 0..<d { buffer.actions[i &* buffer.capacity &+ slot] = point.y[i] }
        buffer.values[slot] = value
    }

    @inline(never)
    func retrain(_ round: Int) {
        let count = labelled(round &+ 1)
        for step in 0..<plan.rewardSteps {
            trainStep(count, step: round &* plan.rewardSteps &+ step &+ 1)
        }
    }

    // MARK: Instruments

    /// Fills `metrics` (Metric.allCases, lanes) at the present action.
    @inline(never)
    func measure(_ round: Int, _ metrics: UnsafeMutablePointer<Double>) {
        func emit(_ metric: Metric, _ value: Lanes) {
            for lane in 0..<Lanes.scalarCount {
                metrics[metric.rawValue &* Lanes.scalarCount &+ lane] = Double(value[lane])
            }
        }
        let signal = plan.signalDimension
        for i in 0..<d { point.y[i] = theta[i] }
        let (u, factor) = utility(theta)
        emit(.utility, u)
        emit(.signal, squareRoot(dot(signal, theta, theta)))
        emit(.noise, squareRoot(dot(d - signal, theta + signal, theta + signal)))

        let count = labelled(round)
        if plan.alignment == .direction || plan.alignment == .inverseNorm { prepareSteering(count) }
        let value = value(labelled: count)
        emit(.penalty, plan.alignment == .none ? .zero : value.overconfidence * value.alignment)

        let reward = evaluateReward(backward: true)
        emit(.proxyReward, reward)
        emit(.overconfidence, reward - labelUtility(theta).value)
        emit(.sensitivity, squaredNorm())
        rewardSlope(point.slope)
        var across = Lanes.zero, truth = Lanes.zero
        for i in 0..<d {
            let x = (i < signal ? theta[i] - Element(plan.utilityTarget) : theta[i]) * factor
            across = fma(x, point.slope[i], across)
            truth = fma(x, x, truth)
        }
        let scale = squareRoot(truth * dot(d, point.slope, point.slope))
        emit(.slopeCosine, (across / scale).replacing(with: 0, where: scale .== 0))

        draw({ $0.probe }, round: round, probeCount &* d, into: draws)
        var squares = Lanes.zero
        for probe in 0..<probeCount {
            for i in 0..<d { point.y[i] = theta[i] + draws[probe &* d &+ i] }
            let error = evaluateReward(backward: false) - utility(point.y).value
            squares = fma(error, error, squares)
        }
        emit(.offPolicyError, squareRoot(squares / Element(probeCount)))
    }
}
