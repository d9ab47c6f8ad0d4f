import CFPO
import FPONumerics
import FPOObjectives

private func requireAtLeastOne(_ n: Int, _ name: String) throws(Failure) {
    try require(n > 0, FPO_ERR_SHAPE, "\(name): 0, but must be at least 1")
}

/// A preference matrix: entries in [0, 1], `P + Pᵀ = 1` to 1e-6.
private func preferences(
    _ pointer: UnsafePointer<Double>?, _ n: Int, ld: Int
) throws(Failure) -> Rows<Double> {
    let P = try finiteInput(pointer, n, n, ld: ld, "preference")
    for i in 0..<n {
        for j in 0..<n {
            try require(
                (0...1).contains(P[i][j]), FPO_ERR_DOMAIN,
                "preference[\(i), \(j)]: \(P[i][j]), but must be in [0, 1]")
            try require(
                i == j || (P[i][j] + P[j][i] - 1).magnitude <= 1e-6, FPO_ERR_DOMAIN,
                "preference[\(i), \(j)] + preference[\(j), \(i)]: \(P[i][j] + P[j][i]), but must be 1"
            )
        }
    }
    return P
}

private func distribution(
    _ pointer: UnsafePointer<Double>?, count n: Int, _ name: String
) throws(Failure) -> UnsafePointer<Double> {
    let p = try probabilities(pointer, count: n, name)
    var sum = 0.0
    for i in 0..<n { sum += p[i] }
    try require(
        n == 0 || (sum - 1).magnitude <= 1e-6, FPO_ERR_DOMAIN,
        "\(name): sums to \(sum), but must sum to 1")
    return p
}

@c @implementation
public func fpo_matrix_game_f64(
    _ m: Int, _ n: Int, _ payoff: UnsafePointer<Double>?, _ lda: Int,
    _ row: UnsafeMutablePointer<Double>?, _ column: UnsafeMutablePointer<Double>?,
    _ value: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let A = try finiteInput(payoff, m, n, ld: lda, "payoff")
        try requireAtLeastOne(m, "m")
        try requireAtLeastOne(n, "n")
        let row = try output(row, count: m, "row")
        let column = try output(column, count: n, "column")
        let value = try unwrap(value, "value")
        let game = try attempt { () throws(NumericsError) in try MatrixGame(A) }
        row.update(from: game.row.base, count: m)
        column.update(from: game.column.base, count: n)
        value.pointee = game.value
    }
}

@c @implementation
public func fpo_regularized_nash_f64(
    _ n: Int, _ preference: UnsafePointer<Double>?, _ ldp: Int,
    _ reference: UnsafePointer<Double>?, _ tau: Double, _ tolerance: Double,
    _ maxIterations: Int64, _ policy: UnsafeMutablePointer<Double>?,
    _ iterations: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let P = try preferences(preference, n, ld: ldp)
        try requireAtLeastOne(n, "n")
        let reference = try distribution(reference, count: n, "reference")
        try requirePositive(tau, "tau")
        try requirePositive(tolerance, "tolerance")
        try require(
            maxIterations >= 0, FPO_ERR_DOMAIN, "max_iterations: \(maxIterations), but must be >= 0"
        )
        let policy = try output(policy, count: n, "policy")
        let memory = try attempt { () throws(NumericsError) in try Buffer<Double>(n) }
        let steps = try attempt { () throws(NumericsError) in
            try NashMD.equilibrium(
                preference: P, reference: reference, tau: tau, tolerance: tolerance,
                maximumIterations: Int(maxIterations), into: memory.base)
        }
        policy.update(from: memory.base, count: n)
        iterations?.pointee = Int64(steps)
    }
}

@c @implementation
public func fpo_nash_md_advantage_f64(
    _ n: Int, _ preference: UnsafePointer<Double>?, _ logp: UnsafePointer<Double>?,
    _ reference: UnsafePointer<Double>?, _ tau: Double,
    _ advantage: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let preference = try probabilities(preference, count: n, "preference")
        let logp = try finiteInput(logp, count: n, "logp")
        let reference = try finiteInput(reference, count: n, "reference")
        try requireNonnegative(tau, "tau")
        let advantage = try output(advantage, count: n, "advantage")
        func value(_ i: Int) -> Double {
            NashMD.advantage(
                preference: preference[i], logProbability: logp[i],
                referenceLogProbability: reference[i], tau: tau)
        }
        for i in 0..<n where !value(i).isFinite { throw overflow(i) }
        for i in 0..<n { advantage[i] = value(i) }
    }
}

@c @implementation
public func fpo_geometric_mixture_f64(
    _ n: Int, _ vocabulary: Int, _ logits: UnsafePointer<Double>?, _ ldl: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ c: Double,
    _ logp: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let logits = try finiteInput(logits, n, vocabulary, ld: ldl, "logits")
        let reference = try finiteInput(reference, n, vocabulary, ld: ldr, "reference")
        try requireAtLeastOne(vocabulary, "vocabulary")
        try requireFinite(c, "c")
        try require((0...1).contains(c), FPO_ERR_DOMAIN, "c: \(c), but must be in [0, 1]")
        let logp = try output(logp, n, vocabulary, ld: vocabulary, "logp")
        for i in 0..<n {
            NashMD.mixture(
                vocabulary: vocabulary, logits: logits[i], reference: reference[i], coefficient: c,
                into: logp + i * vocabulary)
        }
    }
}

@c @implementation
public func fpo_win_rate_f64(
    _ n: Int, _ preference: UnsafePointer<Double>?, _ ldp: Int, _ group: UnsafePointer<Int64>?,
    _ reward: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let P = try preferences(preference, n, ld: ldp)
        let reward = try output(reward, count: n, "reward")
        for i in 0..<n { reward[i] = SPO.reward(of: i, preference: P, group: group) }
    }
}

@c @implementation
public func fpo_xpo_loss_f64(
    _ beta: Double, _ alpha: Double, _ n: Int, _ chosen: UnsafePointer<Double>?,
    _ rejected: UnsafePointer<Double>?, _ referenceChosen: UnsafePointer<Double>?,
    _ referenceRejected: UnsafePointer<Double>?, _ sample: UnsafePointer<Double>?,
    _ loss: UnsafeMutablePointer<Double>?, _ dChosen: UnsafeMutablePointer<Double>?,
    _ dRejected: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        try requirePositive(beta, "beta")
        try requireNonnegative(alpha, "alpha")
        let chosen = try finiteInput(chosen, count: n, "chosen")
        let rejected = try finiteInput(rejected, count: n, "rejected")
        let referenceChosen = try finiteInput(referenceChosen, count: n, "reference_chosen")
        let referenceRejected = try finiteInput(referenceRejected, count: n, "reference_rejected")
        let sample = try finiteInput(sample, count: n, "sample")
        let method = XPO(beta: beta, alpha: alpha)
        try write(
            n,
            { i in
                method(
                    chosen: Response(
                        logProbability: chosen[i], referenceLogProbability: referenceChosen[i]),
                    rejected: Response(
                        logProbability: rejected[i], referenceLogProbability: referenceRejected[i]),
                    sampleLogProbability: sample[i])
            }, loss, dChosen, dRejected)
    }
}

@c @implementation
public func fpo_best_of_n_f64(
    _ m: Int, _ probability: UnsafePointer<Double>?, _ score: UnsafePointer<Double>?, _ n: Int64,
    _ selected: UnsafeMutablePointer<Double>?, _ kl: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let probability = try distribution(probability, count: m, "probability")
        try requireAtLeastOne(m, "m")
        let score = try finiteInput(score, count: m, "score")
        try require(n >= 1, FPO_ERR_DOMAIN, "n: \(n), but must be >= 1")
        let selected = try output(selected, count: m, "selected")
        let kl = try unwrap(kl, "kl")
        kl.pointee = try attempt { () throws(NumericsError) in
            try BestOfN.evaluate(
                count: m, probability: probability, score: score, n: Int(n), into: selected)
        }
    }
}

@c @implementation
public func fpo_best_of_n_estimate_f64(
    _ count: Int, _ proxy: UnsafePointer<Double>?, _ gold: UnsafePointer<Double>?, _ n: Int64,
    _ value: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let proxy = try finiteInput(proxy, count: count, "proxy")
        let gold = try finiteInput(gold, count: count, "gold")
        try require(
            n >= 1 && n <= count, FPO_ERR_DOMAIN, "n: \(n), but must be 1 to count, \(count)")
        let value = try unwrap(value, "value")
        value.pointee = try attempt { () throws(NumericsError) in
            try BestOfN.estimate(count: count, proxy: proxy, gold: gold, n: Int(n))
        }
    }
}

@c @implementation
public func fpo_overoptimization_fit_f64(
    _ curve: Int32, _ n: Int, _ distance: UnsafePointer<Double>?, _ gold: UnsafePointer<Double>?,
    _ fit: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        guard let method = Overoptimization(rawValue: Int(curve)) else {
            throw Failure(
                FPO_ERR_DOMAIN, "curve: \(curve), but must be one of FPO_OVEROPTIMIZATION_...")
        }
        let distance = try finiteInput(distance, count: n, "distance")
        for i in 0..<n {
            try require(
                distance[i] >= 0, FPO_ERR_DOMAIN,
                "distance[\(i)]: \(distance[i]), but must be >= 0")
        }
        let gold = try finiteInput(gold, count: n, "gold")
        let fit = try unwrap(fit, "fit")
        let found = try attempt { () throws(NumericsError) in
            try method.fit(count: n, distance: distance, gold: gold)
        }
        (fit[0], fit[1]) = (found.alpha, found.beta)
        (fit[2], fit[3]) = (found.alphaError, found.betaError)
    }
}

@c @implementation
public func fpo_ches_f64(
    _ t: Int, _ u: Int, _ d: Int, _ chosen: UnsafePointer<Double>?, _ ldc: Int,
    _ rejected: UnsafePointer<Double>?, _ ldr: Int, _ scores: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let chosen = try finiteInput(chosen, t, d, ld: ldc, "chosen")
        let rejected = try finiteInput(rejected, u, d, ld: ldr, "rejected")
        try requireAtLeastOne(t, "t")
        try requireAtLeastOne(u, "u")
        let scores = try unwrap(scores, "scores")
        let found = CHES(chosen: chosen, rejected: rejected)
        (scores[0], scores[1], scores[2]) = (found.score, found.lengthNormalized, found.last)
    }
}
