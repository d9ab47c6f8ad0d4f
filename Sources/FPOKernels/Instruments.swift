import FPOKernelTypes

/// Off-policy probes of the reward model's error: `θ` plus unit normals.
let probeCount = 16

extension Game {
    /// Measures what is wanted at the present action.
    @inline(never)
    func measure(_ round: Int, _ measurement: Measurement) {
        func emit(_ metric: Metric, _ value: Lanes) {
            for lane in 0..<Lanes.scalarCount {
                measurement.metrics[metric.rawValue &* Lanes.scalarCount &+ lane] =
                    Double(value[lane])
            }
        }
        func wants(_ metric: Metric) -> Bool { measurement.wanted.contains(metric) }
        let signal = plan.signalDimension
        for i in 0..<d { point.y[i] = theta[i] }
        let (u, factor) = utility(theta)
        emit(.utility, u)
        emit(.signal, squareRoot(dot(signal, theta, theta)))
        emit(.noise, squareRoot(dot(d - signal, theta + signal, theta + signal)))

        if wants(.penalty) {
            let count = labelled(round)
            if plan.alignment == .direction || plan.alignment == .inverseNorm {
                prepareSteering(count)
            }
            let value = value(labelled: count)
            emit(
                .penalty, plan.alignment == .none ? .zero : value.overconfidence * value.alignment)
        }
        let sloped = wants(.sensitivity) || wants(.slopeCosine)
        if sloped || wants(.proxyReward) || wants(.overconfidence) {
            let reward = evaluateReward(backward: sloped)
            emit(.proxyReward, reward)
            emit(.overconfidence, reward - labelUtility(theta).value)
        }
        if wants(.sensitivity) { emit(.sensitivity, squaredNorm()) }
        if wants(.slopeCosine) { emit(.slopeCosine, slopeCosine(factor)) }
        if wants(.offPolicyError) { emit(.offPolicyError, offPolicyError(round)) }
    }

    /// The cosine of the slopes of reward and utility, after `evaluateReward(backward: true)` at
    /// `θ`; `factor` as `utility` returned it.
    private func slopeCosine(_ factor: Lanes) -> Lanes {
        rewardSlope(point.slope)
        var across = Lanes.zero, truth = Lanes.zero
        for i in 0..<d {
            let target = i < plan.signalDimension ? Element(plan.utilityTarget) : 0
            let x = (theta[i] - target) * factor
            across = fma(x, point.slope[i], across)
            truth = fma(x, x, truth)
        }
        let scale = squareRoot(truth * dot(d, point.slope, point.slope))
        return (across / scale).replacing(with: 0, where: scale .== 0)
    }

    /// The reward's error over the probes of a round.
    private func offPolicyError(_ round: Int) -> Lanes {
        draw({ $0.probe }, round: round, probeCount &* d, into: draws)
        var squares = Lanes.zero
        for probe in 0..<probeCount {
            for i in 0..<d { point.y[i] = theta[i] + draws[probe &* d &+ i] }
            let error = evaluateReward(backward: false) - utility(point.y).value
            squares = fma(error, error, squares)
        }
        return squareRoot(squares / Element(probeCount))
    }
}
