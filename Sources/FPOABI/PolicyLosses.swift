import CFPO
import FPONumerics
import FPOObjectives

private let policyLossParameters: [Parameter<fpo_policy_loss, PolicyLoss>] = [
    .init(
        "surrogate", \.surrogate, \.surrogateCode, 0...2, choices: "logarithm,clipped,weighted",
        "what is climbed"),
    .init(
        "ratio", \.ratio, \.ratioCode, 0...2, choices: "token,sequence_mean,sequence",
        "of what the probability ratio is taken"),
    .init(
        "aggregation", \.aggregation, \.aggregationCode, 0...3,
        choices: "sequence_mean,token_mean,sequence_sum,constant", "how tokens are averaged"),
    .init("clip_low", \.clip_low, \.clipLow, 0...1, "ratios below 1 minus this are clipped"),
    .init("clip_high", \.clip_high, \.clipHigh, 0...1e6, "ratios above 1 plus this are clipped"),
    .init(
        "dual_clip", \.dual_clip, \.dualClip, 0...1e6,
        "bound > 1 on the ratio where the advantage is negative; 0: none"),
    .init(
        "max_length", \.max_length, \.maximumLength, 0...1e9,
        "tokens that the constant aggregation divides by"),
    .init("kl_coefficient", \.kl_coefficient, \.klCoefficient, 0...1e6, "weight of the divergence"),
    .init(
        "kl_estimator", \.kl_estimator, \.klCode, 0...3, choices: "k1,k2,k3,k3_plus",
        "estimator of the divergence, as part of the loss"),
    .init(
        "kl_weighted", \.kl_weighted, \.klWeightCode, 0...1,
        "whether estimates are multiplied by the token's ratio"),
    .init(
        "kl_limit", \.kl_limit, \.klLimit, .leastNonzeroMagnitude ... .infinity,
        "largest estimate of a token"),
]

extension PolicyLoss {
    fileprivate var surrogateCode: Int {
        get { surrogate.rawValue }
        set { surrogate = Surrogate(rawValue: newValue)! }
    }
    fileprivate var ratioCode: Int {
        get { ratio.rawValue }
        set { ratio = Ratio(rawValue: newValue)! }
    }
    fileprivate var aggregationCode: Int {
        get { aggregation.rawValue }
        set { aggregation = Aggregation(rawValue: newValue)! }
    }
    fileprivate var klCode: Int {
        get { klEstimator.rawValue }
        set { klEstimator = KLEstimator(rawValue: newValue)! }
    }
    fileprivate var klWeightCode: Int {
        get { klIsWeighted ? 1 : 0 }
        set { klIsWeighted = newValue == 1 }
    }

    /// The loss that `c` describes, every field checked.
    fileprivate init(_ pointer: UnsafePointer<fpo_policy_loss>?) throws(Failure) {
        self.init(.ppo)
        let c = try read(pointer, over: defaults(self), "config")
        for parameter in policyLossParameters { try parameter.read(c, into: &self, "config") }
        try require(
            dualClip == 0 || dualClip > 1, FPO_ERR_DOMAIN,
            "config.dual_clip: \(dualClip), but must be > 1, or 0 for none")
        try require(
            aggregation != .constant || maximumLength > 0, FPO_ERR_DOMAIN,
            "config.max_length: 0, but the constant aggregation divides by it")
    }
}

private func defaults(_ loss: PolicyLoss) -> fpo_policy_loss {
    var c = fpo_policy_loss()
    for parameter in policyLossParameters { parameter.write(loss, into: &c) }
    return c
}

private func preset(_ number: Int32) throws(Failure) -> PolicyLoss {
    guard let preset = PolicyLoss.Preset(rawValue: Int(number)) else {
        throw Failure(
            FPO_ERR_DOMAIN, "preset: \(number), but must be one of FPO_POLICY_LOSS_...")
    }
    return PolicyLoss(preset)
}

/// The parameters of a preset, as `fpo_parameter_info` tells them.
func policyLossInfo(_ number: Int32) throws(Failure) -> [fpo_parameter] {
    let loss = try preset(number)
    return policyLossParameters.map { $0.describe(loss) }
}

@c @implementation
public func fpo_policy_loss_init(
    _ config: UnsafeMutablePointer<fpo_policy_loss>?, _ structSize: UInt32, _ number: Int32
) -> Int32 {
    boundary { () throws(Failure) in
        let config = try unwrap(config, "config")
        try fill(config, structSize, with: defaults(try preset(number)), "fpo_policy_loss")
    }
}

@c @implementation
public func fpo_policy_loss_f64(
    _ config: UnsafePointer<fpo_policy_loss>?, _ n: Int, _ offset: UnsafePointer<Int64>?,
    _ logp: UnsafePointer<Double>?, _ oldLogp: UnsafePointer<Double>?,
    _ reference: UnsafePointer<Double>?, _ advantage: UnsafePointer<Double>?,
    _ used: UnsafePointer<Int32>?, _ statistics: UnsafeMutablePointer<Double>?,
    _ dLogp: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let loss = try PolicyLoss(config)
        let offset = try offsets(offset, rows: n, "offset")
        let tokens = Int(offset[n])
        let logp = try finiteInput(logp, count: tokens, "logp")
        if oldLogp != nil { _ = try finiteInput(oldLogp, count: tokens, "old_logp") }
        if reference != nil { _ = try finiteInput(reference, count: tokens, "reference") }
        try require(
            reference != nil || loss.klCoefficient == 0, FPO_ERR_NULL,
            "reference: NULL, but config.kl_coefficient is \(loss.klCoefficient)")
        let advantage = try finiteInput(advantage, count: tokens, "advantage")
        if let used { for i in 0..<n { try requireFlag(used[i], "used[\(i)]") } }
        let statistics = try unwrap(statistics, "statistics")
        let dLogp = try output(dLogp, count: tokens, "d_logp")
        let batch = PolicyLoss.Batch(
            count: n, offset: offset, logProbability: logp, oldLogProbability: oldLogp,
            referenceLogProbability: reference, advantage: advantage, isUsed: used)
        let memory = try attempt { () throws(NumericsError) in try Buffer<Double>(tokens) }
        let result = loss.evaluate(batch, derivative: memory.base)
        var isFinite = result.loss.isFinite && result.divergence.isFinite
        for t in 0..<tokens { isFinite = isFinite && memory.base[t].isFinite }
        try require(
            isFinite, FPO_ERR_NONFINITE, "the loss is beyond double precision; see kl_limit")
        statistics[0] = result.loss
        statistics[1] = result.clipFraction
        statistics[2] = result.divergence
        dLogp.update(from: memory.base, count: tokens)
    }
}
