import FPONumerics

/// The surrogate losses of policy-gradient methods on the tokens of sampled responses.
///
///     ρ     e^{ℓ − ℓ_old} of a token; or of a whole response, product or geometric mean, which all
///           its tokens share
///     u     A ℓ                                       logarithm: REINFORCE, RLOO, ReMax
///           min(ρ A, clip(ρ, 1 − ε_l, 1 + ε_h) A)     clipped: PPO and its kin; where A < 0 at least
///                                                     c A with dual clipping
///           sg[min(ρ, 1 + ε_h)] A ℓ                   weighted: CISPO
///     loss  −Σ_t w_t u_t + β Σ_t w_t k_t
///
/// The weights `w` say what is averaged: with `n` responses that take part, of `T_i` tokens,
///
///     sequenceMean   1/(n T_i)      every response equally: GRPO, GSPO
///     tokenMean      1/Σ T_i        every token equally: DAPO, PPO
///     sequenceSum    1/n            the policy gradient as it is: REINFORCE
///     constant       1/(n L)        the same by a constant length L: Dr. GRPO
///
/// Presets are in ``PolicyLoss/Preset``. Empty responses have no tokens and take no part. GSPO is
/// the paper's: each response counts once. (TRL's `importance_sampling_level="sequence"` keeps a
/// token normaliser, and a response then counts T_i times.)
public struct PolicyLoss: Sendable {
    public enum Preset: Int, Sendable, CaseIterable {
        case reinforce, ppo, grpo, drGRPO, dapo, gspo, cispo
    }
    public enum Surrogate: Int, Sendable { case logarithm, clipped, weighted }
    public enum Ratio: Int, Sendable { case token, sequenceMean, sequence }
    public enum Aggregation: Int, Sendable { case sequenceMean, tokenMean, sequenceSum, constant }

    public var surrogate = Surrogate.clipped
    public var ratio = Ratio.token
    public var aggregation = Aggregation.tokenMean
    public var clipLow = 0.2
    public var clipHigh = 0.2
    /// `c > 1`, or 0 for none: Ye et al., arXiv:1912.09729, eq. 5 (3 there).
    public var dualClip = 0.0
    /// `L`, for the constant aggregation.
    public var maximumLength = 0.0
    /// `β`
    public var klCoefficient = 0.0
    public var klEstimator = KLEstimator.k3
    /// The estimates are multiplied by the token's ρ, through which they are differentiated too:
    /// ρ k3 has the slope ρ a, the true gradient of the divergence off-policy.
    public var klIsWeighted = false
    /// A token's estimate is at most this.
    public var klLimit = Double.infinity

    public init(_ preset: Preset) {
        switch preset {
        case .reinforce: (surrogate, aggregation) = (.logarithm, .sequenceSum)
        case .ppo: break
        case .grpo: aggregation = .sequenceMean
        case .drGRPO: aggregation = .constant
        case .dapo: clipHigh = 0.28
        case .gspo:
            (ratio, aggregation, clipLow, clipHigh) = (.sequenceMean, .sequenceMean, 3e-4, 4e-4)
        case .cispo: (surrogate, clipHigh) = (.weighted, 0.28)
        }
    }

    /// The sampled responses: tokens of response `i` stand from `offset[i]` to `offset[i + 1]`.
    public struct Batch {
        public let count: Int
        public let offset: UnsafePointer<Int64>
        public let logProbability: UnsafePointer<Double>
        /// Of the policy that sampled; `nil`: this one.
        public let oldLogProbability: UnsafePointer<Double>?
        public let referenceLogProbability: UnsafePointer<Double>?
        /// `A`, one a token.
        public let advantage: UnsafePointer<Double>
        /// Whether a response takes part; `nil`: all.
        public let isUsed: UnsafePointer<Int32>?

        public init(
            count: Int, offset: UnsafePointer<Int64>, logProbability: UnsafePointer<Double>,
            oldLogProbability: UnsafePointer<Double>?,
            referenceLogProbability: UnsafePointer<Double>?, advantage: UnsafePointer<Double>,
            isUsed: UnsafePointer<Int32>?
        ) {
            self.count = count
            self.offset = offset
            self.logProbability = logProbability
            self.oldLogProbability = oldLogProbability
            self.referenceLogProbability = referenceLogProbability
            self.advantage = advantage
            self.isUsed = isUsed
        }

        func tokens(_ i: Int) -> Range<Int> {
            guard isUsed?[i] ?? 1 != 0 else { return 0..<0 }
            return Int(offset[i])..<Int(offset[i + 1])
        }

        func logRatio(_ t: Int) -> Double {
            logProbability[t] - (oldLogProbability?[t] ?? logProbability[t])
        }
    }

    public struct Statistics: Sendable, Equatable {
        public var loss = 0.0
        /// Share of the tokens whose surrogate is clipped.
        public var clipFraction = 0.0
        /// Mean over tokens of the estimate.
        public var divergence = 0.0

        public init() {}
    }

    /// The loss; its derivative in each token's log-probability is written, 0 for what takes no
    /// part.
    public func evaluate(
        _ batch: Batch, derivative: UnsafeMutablePointer<Double>?
    ) -> Statistics {
        var (responses, tokens) = (0.0, 0.0)
        for i in 0..<batch.count {
            tokens += Double(batch.tokens(i).count)
            if !batch.tokens(i).isEmpty { responses += 1 }
        }
        if let derivative {
            for t in 0..<Int(batch.offset[batch.count]) { derivative[t] = 0 }
        }
        var result = Statistics()
        guard tokens > 0 else { return result }
        for i in 0..<batch.count {
            let range = batch.tokens(i)
            guard !range.isEmpty else { continue }
            let weight: Double
            switch aggregation {
            case .sequenceMean: weight = 1 / (responses * Double(range.count))
            case .tokenMean: weight = 1 / tokens
            case .sequenceSum: weight = 1 / responses
            case .constant: weight = 1 / (responses * maximumLength)
            }
            addResponse(range, weight, batch, derivative, &result)
        }
        result.clipFraction /= tokens
        result.divergence /= tokens
        return result
    }

    private func addResponse(
        _ range: Range<Int>, _ weight: Double, _ batch: Batch,
        _ derivative: UnsafeMutablePointer<Double>?, _ result: inout Statistics
    ) {
        var shared = 0.0, sharedSlope = 0.0
        if ratio != .token {
            for t in range { shared += batch.logRatio(t) }
            if ratio == .sequenceMean { shared /= Double(range.count) }
        }
        for t in range {
            let logRatio = ratio == .token ? batch.logRatio(t) : shared
            let term = surrogate(batch.advantage[t], logRatio, batch.logProbability[t])
            result.loss -= weight * term.value
            if term.isClipped { result.clipFraction += 1 }
            if ratio == .token || surrogate != .clipped {
                derivative?[t] -= weight * term.slope
            } else {
                sharedSlope += term.slope
            }
            guard let reference = batch.referenceLogProbability else { continue }
            var k = klEstimator(batch.logProbability[t] - reference[t], limit: klLimit)
            result.divergence += k.value
            guard klCoefficient > 0 else { continue }
            if klIsWeighted {
                let rho = Double.exp(batch.logRatio(t))
                k = (value: rho * k.value, derivative: rho * (k.value + k.derivative))
            }
            result.loss += weight * klCoefficient * k.value
            derivative?[t] += weight * klCoefficient * k.derivative
        }
        if sharedSlope != 0, let derivative {
            // d log s / dℓ_t of the geometric mean is 1/T.
            let scale = ratio == .sequenceMean ? 1 / Double(range.count) : 1
            for t in range { derivative[t] -= weight * scale * sharedSlope }
        }
    }

    /// `u` and its derivative in the logarithm of the ratio (or in ℓ).
    private func surrogate(
        _ A: Double, _ logRatio: Double, _ logp: Double
    ) -> (value: Double, slope: Double, isClipped: Bool) {
        guard A != 0 else { return (0, 0, false) }
        switch surrogate {
        case .logarithm: return (A * logp, A, false)
        case .weighted:
            let rho = Double.exp(logRatio), w = min(rho, 1 + clipHigh)
            return (w * A * logp, w * A, w < rho)
        case .clipped:
            let rho = Double.exp(logRatio)
            if A > 0 {
                return rho > 1 + clipHigh
                    ? ((1 + clipHigh) * A, 0, true) : (rho * A, rho * A, false)
            }
            if rho < 1 - clipLow { return ((1 - clipLow) * A, 0, true) }
            if dualClip > 0 && rho > dualClip { return (dualClip * A, 0, true) }
            return (rho * A, rho * A, false)
        }
    }
}
