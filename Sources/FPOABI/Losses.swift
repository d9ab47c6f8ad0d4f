import CFPO
import FPOObjectives

/// The method of each FPO_LOSS_... number.
private func method(_ kind: Int32) throws(Failure) -> any Loss.Type {
    switch Int(kind) {
    case FPO_LOSS_BRADLEY_TERRY: BradleyTerry.self
    case FPO_LOSS_DAVIDSON: Davidson.self
    case FPO_LOSS_RAO_KUPPER: RaoKupper.self
    case FPO_LOSS_DPO: DPO.self
    case FPO_LOSS_CONSERVATIVE_DPO: ConservativeDPO.self
    case FPO_LOSS_ROBUST_DPO: RobustDPO.self
    case FPO_LOSS_HINGE: HingeLoss.self
    case FPO_LOSS_IPO: IPO.self
    case FPO_LOSS_MEAN_IPO: MeanIPO.self
    case FPO_LOSS_SIMPO: SimPO.self
    case FPO_LOSS_ORPO: ORPO.self
    case FPO_LOSS_CPO: CPO.self
    case FPO_LOSS_ALPHAPO: AlphaPO.self
    case FPO_LOSS_DPO_SHIFT: DPOShift.self
    case FPO_LOSS_LENGTH_NORMALIZED_DPO: LengthNormalizedDPO.self
    case FPO_LOSS_EXO: EXO.self
    case FPO_LOSS_NCA: NCA.self
    case FPO_LOSS_BCO: BCO.self
    case FPO_LOSS_SPPO: SPPO.self
    case FPO_LOSS_APO_ZERO: APOZero.self
    case FPO_LOSS_APO_DOWN: APODown.self
    case FPO_LOSS_DISCOPOP: DiscoPOP.self
    case FPO_LOSS_FORWARD_KL_DPO: ForwardKLDPO.self
    case FPO_LOSS_JENSEN_SHANNON_DPO: JensenShannonDPO.self
    case FPO_LOSS_ALPHA_DIVERGENCE_DPO: AlphaDivergenceDPO.self
    case FPO_LOSS_DPO_POSITIVE: DPOPositive.self
    case FPO_LOSS_RPO: RPO.self
    case FPO_LOSS_KTO: KTO.self
    default: throw Failure(FPO_ERR_DOMAIN, "kind: \(kind), but must be one of FPO_LOSS_...")
    }
}

extension LossField {
    fileprivate var c: (name: StaticString, path: WritableKeyPath<fpo_loss, Double>) {
        switch self {
        case .beta: ("beta", \.beta)
        case .labelSmoothing: ("label_smoothing", \.label_smoothing)
        case .gamma: ("gamma", \.gamma)
        case .alpha: ("alpha", \.alpha)
        case .weight: ("weight", \.weight)
        case .temperature: ("temperature", \.temperature)
        case .centring: ("centring", \.centring)
        case .tie: ("tie", \.tie)
        case .desirableWeight: ("desirable_weight", \.desirable_weight)
        case .undesirableWeight: ("undesirable_weight", \.undesirable_weight)
        }
    }
}

extension Loss {
    fileprivate static var table: [Parameter<fpo_loss, Self>] {
        parameters.map {
            Parameter($0.field.c.name, $0.field.c.path, $0.path, $0.bounds, $0.doc)
        }
    }

    fileprivate static func defaults(_ kind: Int32) -> fpo_loss {
        var c = fpo_loss()
        c.kind = kind
        for parameter in table { parameter.write(Self(), into: &c) }
        return c
    }

    /// The loss that `c` describes, every field checked.
    fileprivate init(_ c: fpo_loss) throws(Failure) {
        self.init()
        for parameter in Self.table { try parameter.read(c, into: &self, "config") }
        for field in LossField.allCases
        where !Self.parameters.contains(where: { $0.field == field }) {
            let (name, path) = field.c
            try require(
                c[keyPath: path] == 0, FPO_ERR_DOMAIN,
                "config.\(name): \(c[keyPath: path]), but this loss has no such parameter; leave 0")
        }
    }
}

/// The parameters of a kind, as `fpo_parameter_info` tells them.
func lossInfo(_ kind: Int32) throws(Failure) -> [fpo_parameter] {
    func describe<L: Loss>(_: L.Type) -> [fpo_parameter] { L.table.map { $0.describe(L()) } }
    return describe(try method(kind))
}

/// The checked loss of a config, which must be one of a family.
private func loss<Family>(
    _ pointer: UnsafePointer<fpo_loss>?, _: Family.Type, _ function: StaticString
) throws(Failure) -> Family {
    let kind = try read(pointer, over: fpo_loss(), "config").kind
    let type = try method(kind)
    let c = try read(pointer, over: type.defaults(kind), "config")
    guard let found = try type.init(c) as? Family else {
        throw Failure(FPO_ERR_DOMAIN, "config.kind: \(kind), which is no loss of \(function)")
    }
    return found
}

func overflow(_ row: Int) -> Failure {
    Failure(FPO_ERR_NONFINITE, "row \(row): the loss is beyond double precision")
}

func lengths(
    _ pointer: UnsafePointer<Int64>?, count n: Int, _ name: String
) throws(Failure) -> UnsafePointer<Int64> {
    let length = try input(pointer, 1, n, ld: n, name).base
    for i in 0..<n {
        try require(
            (0...Int64(Int32.max)).contains(length[i]), FPO_ERR_DOMAIN,
            "\(name)[\(i)]: \(length[i]), but a length is 0 to \(Int32.max)")
    }
    return length
}

func probabilities(
    _ pointer: UnsafePointer<Double>?, count n: Int, _ name: String
) throws(Failure) -> UnsafePointer<Double> {
    let values = try finiteInput(pointer, count: n, name)
    for i in 0..<n where !(0...1).contains(values[i]) {
        throw Failure(FPO_ERR_DOMAIN, "\(name)[\(i)]: \(values[i]), but must be in [0, 1]")
    }
    return values
}

/// Evaluates all rows, so that nothing is written where one of them fails, then writes them.
func write(
    _ n: Int, _ term: (Int) -> PairTerm, _ loss: UnsafeMutablePointer<Double>?,
    _ dChosen: UnsafeMutablePointer<Double>?, _ dRejected: UnsafeMutablePointer<Double>?
) throws(Failure) {
    let loss = try output(loss, count: n, "loss")
    let dChosen = try output(dChosen, count: n, "d_chosen")
    let dRejected = try output(dRejected, count: n, "d_rejected")
    for i in 0..<n where !term(i).isFinite { throw overflow(i) }
    for i in 0..<n {
        let value = term(i)
        (loss[i], dChosen[i], dRejected[i]) = (value.loss, value.dChosen, value.dRejected)
    }
}

/// The same for a value and one derivative.
func write(
    _ n: Int, _ term: (Int) -> (Double, Double),
    _ value: UnsafeMutablePointer<Double>?, _ valueName: String,
    _ derivative: UnsafeMutablePointer<Double>?, _ derivativeName: String
) throws(Failure) {
    let value = try output(value, count: n, valueName)
    let derivative = try output(derivative, count: n, derivativeName)
    for i in 0..<n {
        let (value, derivative) = term(i)
        guard value.isFinite && derivative.isFinite else { throw overflow(i) }
    }
    for i in 0..<n { (value[i], derivative[i]) = term(i) }
}

@c @implementation
public func fpo_loss_init(
    _ loss: UnsafeMutablePointer<fpo_loss>?, _ structSize: UInt32, _ kind: Int32
) -> Int32 {
    boundary { () throws(Failure) in
        let loss = try unwrap(loss, "loss")
        try fill(loss, structSize, with: method(kind).defaults(kind), "fpo_loss")
    }
}

@c @implementation
public func fpo_loss_needs(
    _ kind: Int32, _ reference: UnsafeMutablePointer<Int32>?, _ length: UnsafeMutablePointer<Int32>?
) -> Int32 {
    boundary { () throws(Failure) in
        let reference = try unwrap(reference, "reference")
        let length = try unwrap(length, "length")
        let method = try method(kind)
        let pairs = method as? any PreferenceLoss.Type
        reference.pointee = pairs?.usesReference == true || method is any UnpairedLoss.Type ? 1 : 0
        length.pointee = pairs?.usesLength == true ? 1 : 0
    }
}

@c @implementation
public func fpo_reward_loss_f64(
    _ config: UnsafePointer<fpo_loss>?, _ n: Int, _ chosen: UnsafePointer<Double>?,
    _ rejected: UnsafePointer<Double>?, _ margin: UnsafePointer<Double>?,
    _ label: UnsafePointer<Double>?, _ losses: UnsafeMutablePointer<Double>?,
    _ dChosen: UnsafeMutablePointer<Double>?, _ dRejected: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let loss = try loss(config, (any PairRewardLoss).self, "fpo_reward_loss_f64")
        let chosen = try finiteInput(chosen, count: n, "chosen")
        let rejected = try finiteInput(rejected, count: n, "rejected")
        if margin != nil { _ = try finiteInput(margin, count: n, "margin") }
        if label != nil { _ = try probabilities(label, count: n, "label") }
        try write(
            n,
            { i in
                loss(
                    chosen: chosen[i], rejected: rejected[i], margin: margin?[i] ?? 0,
                    label: label?[i] ?? 1)
            }, losses, dChosen, dRejected)
    }
}

@c @implementation
public func fpo_preference_loss_f64(
    _ config: UnsafePointer<fpo_loss>?, _ n: Int, _ chosen: UnsafePointer<Double>?,
    _ rejected: UnsafePointer<Double>?, _ referenceChosen: UnsafePointer<Double>?,
    _ referenceRejected: UnsafePointer<Double>?, _ chosenLength: UnsafePointer<Int64>?,
    _ rejectedLength: UnsafePointer<Int64>?, _ losses: UnsafeMutablePointer<Double>?,
    _ dChosen: UnsafeMutablePointer<Double>?, _ dRejected: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let loss = try loss(config, (any PreferenceLoss).self, "fpo_preference_loss_f64")
        let method = type(of: loss)
        func responses(
            _ logp: UnsafePointer<Double>?, _ reference: UnsafePointer<Double>?,
            _ length: UnsafePointer<Int64>?, _ name: String
        ) throws(Failure) -> (Int) -> Response {
            let logp = try finiteInput(logp, count: n, name)
            let reference =
                try method.usesReference
                ? finiteInput(reference, count: n, "reference_\(name)") : nil
            let length =
                try method.usesLength ? lengths(length, count: n, "\(name)_length") : nil
            for i in 0..<n where method.needsProbabilities && logp[i] > 0 {
                throw Failure(
                    FPO_ERR_DOMAIN, "\(name)[\(i)]: \(logp[i]), but a log-probability is <= 0")
            }
            return { i in
                Response(
                    logProbability: logp[i], referenceLogProbability: reference?[i] ?? 0,
                    length: length.map { Int($0[i]) } ?? 1)
            }
        }
        let chosen = try responses(chosen, referenceChosen, chosenLength, "chosen")
        let rejected = try responses(rejected, referenceRejected, rejectedLength, "rejected")
        try write(
            n, { i in loss(chosen: chosen(i), rejected: rejected(i)) }, losses, dChosen, dRejected)
    }
}

@c @implementation
public func fpo_unpaired_loss_f64(
    _ config: UnsafePointer<fpo_loss>?, _ n: Int, _ logp: UnsafePointer<Double>?,
    _ reference: UnsafePointer<Double>?, _ label: UnsafePointer<Int32>?, _ baseline: Double,
    _ losses: UnsafeMutablePointer<Double>?, _ dLogp: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let loss = try loss(config, (any UnpairedLoss).self, "fpo_unpaired_loss_f64")
        let logp = try finiteInput(logp, count: n, "logp")
        let reference = try finiteInput(reference, count: n, "reference")
        let label = try input(label, 1, n, ld: n, "label").base
        for i in 0..<n { try requireFlag(label[i], "label[\(i)]") }
        try requireFinite(baseline, "baseline")
        try write(
            n,
            { i in
                loss(
                    Response(logProbability: logp[i], referenceLogProbability: reference[i]),
                    isDesirable: label[i] == 1, baseline: baseline)
            }, losses, "loss", dLogp, "d_logp")
    }
}

@c @implementation
public func fpo_kto_baseline_f64(
    _ n: Int, _ logp: UnsafePointer<Double>?, _ reference: UnsafePointer<Double>?,
    _ baseline: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let logp = try finiteInput(logp, count: n, "logp")
        let reference = try finiteInput(reference, count: n, "reference")
        let baseline = try unwrap(baseline, "baseline")
        let value = KTO.baseline(
            count: n, logProbability: logp, referenceLogProbability: reference)
        try require(value.isFinite, FPO_ERR_NONFINITE, "the baseline is beyond double precision")
        baseline.pointee = value
    }
}

@c @implementation
public func fpo_sft_loss_f64(
    _ n: Int, _ logp: UnsafePointer<Double>?, _ length: UnsafePointer<Int64>?,
    _ loss: UnsafeMutablePointer<Double>?, _ dLogp: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let logp = try finiteInput(logp, count: n, "logp")
        if length != nil { _ = try lengths(length, count: n, "length") }
        try write(
            n,
            { i in
                SFT.evaluate(
                    Response(logProbability: logp[i], length: length.map { Int($0[i]) } ?? 1),
                    isMean: length != nil)
            }, loss, "loss", dLogp, "d_logp")
    }
}

@c @implementation
public func fpo_score_loss_f64(
    _ kind: Int32, _ n: Int, _ score: UnsafePointer<Double>?, _ label: UnsafePointer<Double>?,
    _ loss: UnsafeMutablePointer<Double>?, _ dScore: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        guard let method = RewardRegression(rawValue: Int(kind)) else {
            throw Failure(FPO_ERR_DOMAIN, "kind: \(kind), but must be one of FPO_SCORE_...")
        }
        let score = try finiteInput(score, count: n, "score")
        let label =
            try method == .crossEntropy
            ? probabilities(label, count: n, "label") : finiteInput(label, count: n, "label")
        try write(
            n, { i in method(reward: score[i], label: label[i]) }, loss, "loss", dScore, "d_score")
    }
}
