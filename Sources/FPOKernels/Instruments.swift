import FPOKernelTypes

/// Off-policy probes of the reward model's error: `θ` plus unit normals.
let probeCount = 16

extension Game {
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
