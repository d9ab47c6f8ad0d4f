import CFPO
import FPONumerics
import FPOObjectives

private func estimator(_ number: Int32) throws(Failure) -> KLEstimator {
    guard let estimator = KLEstimator(rawValue: Int(number)) else {
        throw Failure(FPO_ERR_DOMAIN, "estimator: \(number), but must be one of FPO_KL_...")
    }
    return estimator
}

/// `> 0`, infinity included.
private func requireLimit(_ x: Double, _ name: String) throws(Failure) {
    try require(!x.isNaN, FPO_ERR_NONFINITE, "\(name): \(x), but must be a number")
    try require(x > 0, FPO_ERR_DOMAIN, "\(name): \(x), but must be > 0")
}

private func requireShare(_ x: Double, _ name: String) throws(Failure) {
    try requireFinite(x, name)
    try require((0...1).contains(x), FPO_ERR_DOMAIN, "\(name): \(x), but must be in [0, 1]")
}

@c @implementation
public func fpo_kl_estimate_f64(
    _ number: Int32, _ n: Int, _ logp: UnsafePointer<Double>?, _ reference: UnsafePointer<Double>?,
    _ limit: Double, _ value: UnsafeMutablePointer<Double>?, _ dLogp: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let estimator = try estimator(number)
        let logp = try finiteInput(logp, count: n, "logp")
        let reference = try finiteInput(reference, count: n, "reference")
        try requireLimit(limit, "limit")
        try write(
            n, { i in estimator(logp[i] - reference[i], limit: limit) }, value, "value", dLogp,
            "d_logp")
    }
}

@c @implementation
public func fpo_adaptive_kl(
    _ beta: Double, _ kl: Double, _ target: Double, _ samples: Double, _ horizon: Double,
    _ next: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let next = try unwrap(next, "next")
        try requireNonnegative(beta, "beta")
        try requireFinite(kl, "kl")
        try requirePositive(target, "target")
        try requireNonnegative(samples, "samples")
        try requirePositive(horizon, "horizon")
        let value = AdaptiveKL.next(
            beta: beta, divergence: kl, target: target, samples: samples, horizon: horizon)
        try require(value.isFinite, FPO_ERR_NONFINITE, "the next beta is beyond double precision")
        next.pointee = max(value, 0)
    }
}

@c @implementation
public func fpo_group_advantage_f64(
    _ number: Int32, _ scale: Int32, _ epsilon: Double, _ n: Int, _ reward: UnsafePointer<Double>?,
    _ group: UnsafePointer<Int64>?, _ baseline: UnsafePointer<Double>?,
    _ length: UnsafePointer<Int64>?, _ advantage: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        guard let method = GroupAdvantage.Estimator(rawValue: Int(number)) else {
            throw Failure(
                FPO_ERR_DOMAIN, "estimator: \(number), but must be one of FPO_ADVANTAGE_...")
        }
        var settings = GroupAdvantage(method)
        guard let scale = GroupAdvantage.Scale(rawValue: Int(scale)) else {
            throw Failure(FPO_ERR_DOMAIN, "scale: \(scale), but must be one of FPO_SCALE_...")
        }
        try requireNonnegative(epsilon, "epsilon")
        (settings.scale, settings.epsilon) = (scale, epsilon)
        let reward = try input(reward, 1, n, ld: n, "reward").base
        for i in 0..<n {
            try require(
                !reward[i].isInfinite, FPO_ERR_NONFINITE,
                "reward[\(i)]: \(reward[i]), but must be finite, or NaN where there is no score")
        }
        if let group {
            for i in 0..<n {
                try require(
                    (0..<Int64(n)).contains(group[i]), FPO_ERR_DOMAIN,
                    "group[\(i)]: \(group[i]), but must be 0 to \(n - 1)")
            }
        }
        if baseline != nil { _ = try finiteInput(baseline, count: n, "baseline") }
        if method == .opo || length != nil { _ = try lengths(length, count: n, "length") }
        let advantage = try output(advantage, count: n, "advantage")
        let memory = try attempt { () throws(NumericsError) in
            let memory = try Buffer<Double>(n)
            try settings.evaluate(
                count: n, reward: reward, group: group, groups: group == nil ? 1 : n,
                baseline: baseline, length: length, into: memory.base)
            return memory
        }
        for i in 0..<n where !memory.base[i].isFinite { throw overflow(i) }
        advantage.update(from: memory.base, count: n)
    }
}

@c @implementation
public func fpo_overlong_penalty_f64(
    _ n: Int, _ length: UnsafePointer<Int64>?, _ maximum: Int64, _ buffer: Int64,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let length = try lengths(length, count: n, "length")
        try require(maximum > 0, FPO_ERR_DOMAIN, "max_length: \(maximum), but must be > 0")
        try require(
            (1...maximum).contains(buffer), FPO_ERR_DOMAIN,
            "buffer: \(buffer), but must be 1 to max_length, \(maximum)")
        let penalty = try output(penalty, count: n, "penalty")
        for i in 0..<n {
            penalty[i] = OverlongPenalty.evaluate(
                length: Double(length[i]), maximum: Double(maximum), buffer: Double(buffer))
        }
    }
}

@c @implementation
public func fpo_token_rewards_f64(
    _ n: Int, _ offset: UnsafePointer<Int64>?, _ score: UnsafePointer<Double>?,
    _ logp: UnsafePointer<Double>?, _ reference: UnsafePointer<Double>?, _ number: Int32,
    _ beta: Double, _ reward: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let offset = try offsets(offset, rows: n, "offset")
        let tokens = Int(offset[n])
        let score = try finiteInput(score, count: n, "score")
        let logp = try finiteInput(logp, count: tokens, "logp")
        let reference = try finiteInput(reference, count: tokens, "reference")
        let estimator = try estimator(number)
        try requireNonnegative(beta, "beta")
        let reward = try output(reward, count: tokens, "reward")
        for t in 0..<tokens where beta > 0 {
            let k = estimator(logp[t] - reference[t]).value
            try require(
                (beta * k).isFinite, FPO_ERR_NONFINITE, "token \(t): beyond double precision")
        }
        for i in 0..<n {
            let start = Int(offset[i])
            GAE.rewards(
                tokens: Int(offset[i + 1]) - start, score: score[i], logProbability: logp + start,
                referenceLogProbability: reference + start, estimator: estimator, beta: beta,
                into: reward + start)
        }
    }
}

@c @implementation
public func fpo_gae_f64(
    _ n: Int, _ offset: UnsafePointer<Int64>?, _ reward: UnsafePointer<Double>?,
    _ value: UnsafePointer<Double>?, _ bootstrap: UnsafePointer<Double>?, _ gamma: Double,
    _ lambda: Double, _ advantage: UnsafeMutablePointer<Double>?,
    _ returns: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let offset = try offsets(offset, rows: n, "offset")
        let tokens = Int(offset[n])
        let reward = try finiteInput(reward, count: tokens, "reward")
        let value = try finiteInput(value, count: tokens, "value")
        if bootstrap != nil { _ = try finiteInput(bootstrap, count: n, "bootstrap") }
        try requireShare(gamma, "gamma")
        try requireShare(lambda, "lambda")
        let advantage = try output(advantage, count: tokens, "advantage")
        let returns = try output(returns, count: tokens, "returns")
        for i in 0..<n {
            let start = Int(offset[i])
            GAE.evaluate(
                tokens: Int(offset[i + 1]) - start, reward: reward + start, value: value + start,
                bootstrap: bootstrap?[i] ?? 0, gamma: gamma, lambda: lambda,
                advantage: advantage + start, returns: returns + start)
        }
    }
}

@c @implementation
public func fpo_whiten_f64(
    _ n: Int, _ x: UnsafePointer<Double>?, _ keepMean: Int32, _ y: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let x = try finiteInput(x, count: n, "x")
        try requireFlag(keepMean, "keep_mean")
        let y = try output(y, count: n, "y")
        Whitening.evaluate(count: n, x, keepsMean: keepMean == 1, into: y)
    }
}

@c @implementation
public func fpo_value_loss_f64(
    _ n: Int, _ value: UnsafePointer<Double>?, _ oldValue: UnsafePointer<Double>?,
    _ returns: UnsafePointer<Double>?, _ clip: Double, _ loss: UnsafeMutablePointer<Double>?,
    _ dValue: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let value = try finiteInput(value, count: n, "value")
        let oldValue = try finiteInput(oldValue, count: n, "old_value")
        let returns = try finiteInput(returns, count: n, "returns")
        try requireLimit(clip, "clip")
        try write(
            n,
            { i in
                ValueLoss.evaluate(
                    value: value[i], oldValue: oldValue[i], returns: returns[i], clip: clip)
            }, loss, "loss", dValue, "d_value")
    }
}

@c @implementation
public func fpo_entropy_f64(
    _ n: Int, _ vocabulary: Int, _ logits: UnsafePointer<Double>?, _ ldl: Int,
    _ entropy: UnsafeMutablePointer<Double>?, _ dLogits: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let logits = try finiteInput(logits, n, vocabulary, ld: ldl, "logits")
        try require(vocabulary > 0, FPO_ERR_SHAPE, "vocabulary: 0, but must be at least 1")
        let entropy = try output(entropy, count: n, "entropy")
        for i in 0..<n {
            entropy[i] = TokenDistribution.entropy(
                vocabulary: vocabulary, logits: logits[i],
                gradient: dLogits.map { $0 + i * vocabulary })
        }
    }
}

@c @implementation
public func fpo_exact_kl_f64(
    _ n: Int, _ vocabulary: Int, _ logits: UnsafePointer<Double>?, _ ldl: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ kl: UnsafeMutablePointer<Double>?,
    _ dLogits: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let logits = try finiteInput(logits, n, vocabulary, ld: ldl, "logits")
        let reference = try finiteInput(reference, n, vocabulary, ld: ldr, "reference")
        try require(vocabulary > 0, FPO_ERR_SHAPE, "vocabulary: 0, but must be at least 1")
        let kl = try output(kl, count: n, "kl")
        for i in 0..<n {
            kl[i] = TokenDistribution.divergence(
                vocabulary: vocabulary, logits: logits[i], reference: reference[i],
                gradient: dLogits.map { $0 + i * vocabulary })
        }
    }
}
