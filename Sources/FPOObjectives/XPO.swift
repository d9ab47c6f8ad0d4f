import FPONumerics

/// Exploratory preference optimisation: DPO on pairs of a policy's and a reference's sample, and a
/// bonus for taking probability from what the reference would say anyway.
///
///     loss = −log σ(β Δ) + α log π(ỹ),   ỹ ∼ π_ref
///
/// `α = 0` is online DPO. Xie et al., arXiv:2405.21046, algorithm 1.
public struct XPO: Sendable {
    public var beta: Double
    public var alpha: Double

    public init(beta: Double, alpha: Double) {
        self.beta = beta
        self.alpha = alpha
    }

    /// The loss with `log π(ỹ)`, and the pair's derivatives; the sample's is `α`.
    public func callAsFunction(
        chosen: Response, rejected: Response, sampleLogProbability: Double
    ) -> PairTerm {
        var dpo = DPO()
        dpo.beta = beta
        var term = dpo(chosen: chosen, rejected: rejected)
        term.loss += alpha * sampleLogProbability
        return term
    }
}
