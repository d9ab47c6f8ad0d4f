import FPOKernelTypes
import Glibc

// A round: policy steps, labels, retraining.

extension Game {
    // MARK: Draws

    /// Standard normals, `count` of each game, into `draws`: the first of the round's key.
    @inline(__always)
    func draw(
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
                filter.begin(plan.filter, at: theta, reward: reward, slope: point.slope)
            } else {
                filter.move(plan.filter, to: theta)
            }
            for label in (round &- 1) &* each..<round &* each {
                let slot = label % labels.capacity
                filter.observe(
                    plan.filter, { labels.actions[$0 &* labels.capacity &+ slot] },
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
}
