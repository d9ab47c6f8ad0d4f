import CFPO
import FPONumerics
import FPOObjectives

/// Checked offsets (n + 1) of ragged rows: they begin with 0 and do not fall.
func offsets(
    _ pointer: UnsafePointer<Int64>?, rows n: Int, _ name: String
) throws(Failure) -> UnsafePointer<Int64> {
    try requireSize(n, "rows of \(name)")
    let offset = try unwrap(pointer, name)
    try require(offset[0] == 0, FPO_ERR_SHAPE, "\(name)[0]: \(offset[0]), but must be 0")
    for i in 0..<n {
        try require(
            offset[i + 1] >= offset[i], FPO_ERR_SHAPE,
            "\(name)[\(i + 1)]: \(offset[i + 1]), but must be at least \(offset[i])")
    }
    try requireSize(Int(offset[n]), "\(name)[\(n)]")
    return offset
}

@c @implementation
public func fpo_process_reward_f64(
    _ aggregation: Int32, _ n: Int, _ offset: UnsafePointer<Int64>?,
    _ score: UnsafePointer<Double>?, _ reward: UnsafeMutablePointer<Double>?,
    _ dScore: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        guard let method = ProcessReward(rawValue: Int(aggregation)) else {
            throw Failure(
                FPO_ERR_DOMAIN, "aggregation: \(aggregation), but must be an FPO_AGGREGATION_...")
        }
        let offset = try offsets(offset, rows: n, "offset")
        let score = try finiteInput(score, count: Int(offset[n]), "score")
        let reward = try output(reward, count: n, "reward")
        for i in 0..<n {
            let start = Int(offset[i])
            reward[i] = method(
                steps: Int(offset[i + 1]) - start, scores: score + start,
                derivative: dScore.map { $0 + start })
        }
    }
}

@c @implementation
public func fpo_general_preference_f64(
    _ n: Int, _ blocks: Int, _ chosen: UnsafePointer<Double>?, _ rejected: UnsafePointer<Double>?,
    _ weight: UnsafePointer<Double>?, _ margin: UnsafePointer<Double>?, _ temperature: Double,
    _ score: UnsafeMutablePointer<Double>?, _ loss: UnsafeMutablePointer<Double>?,
    _ dChosen: UnsafeMutablePointer<Double>?, _ dRejected: UnsafeMutablePointer<Double>?,
    _ dWeight: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        try requireSize(blocks, "blocks", stride: 16)
        let v = try finiteInput(chosen, n, 2 * blocks, ld: 2 * blocks, "chosen")
        let u = try finiteInput(rejected, n, 2 * blocks, ld: 2 * blocks, "rejected")
        let weight: Rows<Double>? =
            try weight == nil ? nil : finiteInput(weight, n, blocks, ld: blocks, "weight")
        if margin != nil { _ = try finiteInput(margin, count: n, "margin") }
        try requirePositive(temperature, "temperature")
        let score = try output(score, count: n, "score")
        let model = GeneralPreference(blocks: blocks, temperature: temperature)
        for i in 0..<n {
            let value = model.loss(
                chosen: v[i], rejected: u[i], weights: weight?[i], margin: margin?[i] ?? 0,
                dChosen: nil, dRejected: nil, dWeights: nil)
            guard value.isFinite else { throw overflow(i) }
        }
        for i in 0..<n {
            score[i] = model.score(v[i], u[i], weights: weight?[i])
            let value = model.loss(
                chosen: v[i], rejected: u[i], weights: weight?[i], margin: margin?[i] ?? 0,
                dChosen: dChosen.map { $0 + i * 2 * blocks },
                dRejected: dRejected.map { $0 + i * 2 * blocks },
                dWeights: dWeight.map { $0 + i * blocks })
            loss?[i] = value
        }
    }
}
