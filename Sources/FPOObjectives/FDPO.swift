import FPONumerics

/// f-DPO with the forward divergence `KL(π_ref ‖ π)`: the implicit reward of a log-ratio `a` is
/// `−β e^{−a}`, which is beyond double precision for `a < −709`.
///
///     loss = −log σ(β (s(c) − s(q))),   s(a) = −e^{−a}
///
/// Wang et al., arXiv:2309.16240, eq. 12 and table 2.
public struct ForwardKLDPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        return logistic(chosen, rejected, beta) { ratio in
            let e = Double.exp(-ratio)
            return (-e, e)
        }
    }
}

/// f-DPO with the Jensen–Shannon divergence: `s(a) = log σ(a)` up to a constant.
///
/// Wang et al., arXiv:2309.16240, eq. 12 and table 2.
public struct JensenShannonDPO: PreferenceLoss {
    public var beta = 0.1

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)")
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        return logistic(chosen, rejected, beta) { ratio in
            (Double.logSigmoid(ratio), sigmoid(-ratio))
        }
    }
}

/// f-DPO with an α-divergence: `s(a) = e^{(α − 1) a}/(α − 1)`; `α → 1` is DPO, `α → 0` the forward
/// divergence. `|(α − 1) a| > 709` is beyond double precision.
///
/// Wang et al., arXiv:2309.16240, eq. 12 and table 2.
public struct AlphaDivergenceDPO: PreferenceLoss {
    public var beta = 0.1
    public var alpha = 0.5

    public init() {}

    public static let parameters: [LossParameter<Self>] = [
        .init(.beta, \.beta, .positive, "scale of the implicit reward beta log(pi / pi_ref)"),
        .init(.alpha, \.alpha, 0...1, "order of the divergence; 0: forward KL, 1: DPO"),
    ]

    public func callAsFunction(chosen: Response, rejected: Response) -> PairTerm {
        return logistic(chosen, rejected, beta) { ratio in
            // (e^{ka} − 1)/k: the constant 1/k cancels in the difference, and k → 0 is a.
            let k = alpha - 1
            return k == 0 ? (ratio, 1) : (Double.expMinusOne(k * ratio) / k, Double.exp(k * ratio))
        }
    }
}

/// `−log σ(β (s(c) − s(q)))`, with a score of the log-ratio and its derivative.
private func logistic(
    _ chosen: Response, _ rejected: Response, _ beta: Double,
    _ score: (Double) -> (value: Double, derivative: Double)
) -> PairTerm {
    let (a, b) = (score(chosen.logRatio), score(rejected.logRatio))
    let x = beta * (a.value - b.value)
    let slope = -beta * sigmoid(-x)
    return PairTerm(
        loss: softplus(-x), dChosen: slope * a.derivative, dRejected: -slope * b.derivative)
}
