import CFPO
import FPOKernelTypes
import FPOTraining

/// One field of a config struct: where it stands in C and in Swift, its bounds, and what it is.
///
/// This table is the only place that names a parameter, checks it and documents it; the defaults
/// are those of `Environment`, `SteeringPenalty` and `UtilityFilterSettings`.
struct Parameter<C, Target>: @unchecked Sendable {
    enum Field {
        case integer(WritableKeyPath<C, Int32>, WritableKeyPath<Target, Int>)
        case number(WritableKeyPath<C, Double>, WritableKeyPath<Target, Double>)
    }

    let name: StaticString
    let field: Field
    let bounds: ClosedRange<Double>
    let choices: StaticString?
    let doc: StaticString

    init(
        _ name: StaticString, _ c: WritableKeyPath<C, Int32>,
        _ swift: WritableKeyPath<Target, Int>, _ bounds: ClosedRange<Double>,
        choices: StaticString? = nil, _ doc: StaticString
    ) {
        self.name = name
        self.field = .integer(c, swift)
        self.bounds = bounds
        self.choices = choices
        self.doc = doc
    }

    init(
        _ name: StaticString, _ c: WritableKeyPath<C, Double>,
        _ swift: WritableKeyPath<Target, Double>, _ bounds: ClosedRange<Double>,
        _ doc: StaticString
    ) {
        self.name = name
        self.field = .number(c, swift)
        self.bounds = bounds
        self.choices = nil
        self.doc = doc
    }

    /// Checks the field of `c` and moves it to `target`.
    func read(_ c: C, into target: inout Target, _ argument: String) throws(Failure) {
        let value: Double
        switch field {
        case .integer(let from, let to):
            value = Double(c[keyPath: from])
            if bounds.contains(value) { target[keyPath: to] = Int(c[keyPath: from]) }
        case .number(let from, let to):
            value = c[keyPath: from]
            try require(
                value.isFinite || value == bounds.upperBound, FPO_ERR_NONFINITE,
                "\(argument).\(name): \(value), but must be finite")
            if bounds.contains(value) { target[keyPath: to] = value }
        }
        guard bounds.contains(value) else {
            throw Failure(FPO_ERR_DOMAIN, complaint(value, argument))
        }
    }

    private func complaint(_ value: Double, _ argument: String) -> String {
        let whole = value == value.rounded() && value.magnitude < 1e15
        let given = whole ? "\(Int(value))" : "\(value)"
        if let choices {
            return "\(argument).\(name): \(given), but must be the number of one of \(choices)"
        }
        let low = bounds.lowerBound == .leastNonzeroMagnitude ? "> 0" : ">= \(bounds.lowerBound)"
        let high = bounds.upperBound == .infinity ? "" : " and <= \(bounds.upperBound)"
        return "\(argument).\(name): \(given), but must be \(low)\(high)"
    }

    /// Moves the field of `target` to `c`.
    func write(_ target: Target, into c: inout C) {
        switch field {
        case .integer(let to, let from): c[keyPath: to] = Int32(target[keyPath: from])
        case .number(let to, let from): c[keyPath: to] = target[keyPath: from]
        }
    }

    func describe(_ target: Target) -> fpo_parameter {
        let offset: Int?, type: Int, value: Double
        switch field {
        case .integer(let c, let own):
            (offset, type) = (MemoryLayout<C>.offset(of: c), FPO_TYPE_INT32)
            value = Double(target[keyPath: own])
        case .number(let c, let own):
            (offset, type) = (MemoryLayout<C>.offset(of: c), FPO_TYPE_FLOAT64)
            value = target[keyPath: own]
        }
        return fpo_parameter(
            name: name.cString, doc: doc.cString, choices: choices?.cString, default_value: value,
            minimum: bounds.lowerBound, maximum: bounds.upperBound, offset: UInt32(offset!),
            type: Int32(type), count: 1)
    }
}

extension StaticString {
    /// The text, NUL-terminated, in static storage.
    var cString: UnsafePointer<CChar> {
        UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

@c @implementation
public func fpo_parameter_info(
    _ config: Int32, _ index: Int32, _ out: UnsafeMutablePointer<fpo_parameter>?
) -> Int32 {
    boundary { () throws(Failure) in
        let out = try unwrap(out, "out")
        let info: [fpo_parameter]
        switch Int(config) {
        case FPO_CONFIG_ENVIRONMENT_LINEAR: info = environmentInfo(.linear)
        case FPO_CONFIG_ENVIRONMENT_NEURAL: info = environmentInfo(.neural)
        case FPO_CONFIG_PENALTY:
            info = penaltyParameters.map { $0.describe(SteeringPenalty(.myopic)) }
        case FPO_CONFIG_UTILITY_FILTER:
            info = utilityFilterParameters.map { $0.describe(UtilityFilterSettings()) }
        case FPO_CONFIG_LOSS..<FPO_CONFIG_POLICY_LOSS:
            info = try lossInfo(config - Int32(FPO_CONFIG_LOSS))
        case FPO_CONFIG_POLICY_LOSS...:
            info = try policyLossInfo(config - Int32(FPO_CONFIG_POLICY_LOSS))
        default:
            throw Failure(FPO_ERR_DOMAIN, "config: \(config), but must be one of FPO_CONFIG_...")
        }
        try require(
            info.indices.contains(Int(index)), FPO_ERR_DOMAIN,
            "index: \(index), but the config has parameters 0 to \(info.count - 1)")
        out.pointee = info[Int(index)]
    }
}
