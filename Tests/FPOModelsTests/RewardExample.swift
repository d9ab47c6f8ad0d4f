import FPOModels
import FPONumerics
import FPOTestSupport
import Foundation
import Testing

/// What torch found for one model (Tests/Golden/reward_models.py).
struct RewardGolden: Decodable, CustomTestStringConvertible {
    struct Penalty: Decodable {
        let reference: Bool
        let alignment, overconfidence: String
        let values, slopes: [Double]
    }

    let name: String
    let dimension, parameterCount: Int
    let hidden: [Int]?
    let bias: Bool
    let rewards, slopes, mixed, gram: [Double]
    let gradients: [Double]?
    let squaredError, squaredErrorGradient, bradleyTerry, bradleyTerryGradient: [Double]
    let squaredErrorDirection, bradleyTerryDirection: [Double]
    let penalties: [Penalty]

    var testDescription: String { name }

    func model<S: Scalar>(_: S.Type) throws -> any SmoothRewardModel<S> {
        if let hidden { return try MLPReward<S>(dimension: dimension, hidden: hidden) }
        return try LinearReward<S>(dimension: dimension, bias: bias)
    }

    static let all: [RewardGolden] = {
        struct File: Decodable { let cases: [RewardGolden] }
        return try! golden("reward_models", as: File.self).cases
    }()
}

/// The inputs of a golden case: formulas of an index, as in reward_models.py.
final class RewardExample<S: Scalar> {
    static var n: Int { 3 }

    let model: any SmoothRewardModel<S>
    let parameters, direction, actions, references, labels, labelSlopes: Matrix<S>
    private let memory: UnsafeMutablePointer<S>

    init(_ model: any SmoothRewardModel<S>) {
        self.model = model
        let p = model.layout.count, n = Self.n, nd = n * model.dimension
        memory = .allocate(capacity: 2 * p + 3 * nd + n)
        var next = memory
        func series(_ rows: Int, _ columns: Int, _ f: (Double) -> Double) -> Matrix<S> {
            let m = Matrix(base: next, rows: rows, columns: columns)
            for i in 0..<m.count { m.base[i] = S(f(Double(i))) }
            next += m.count
            return m
        }
        parameters = series(1, p) { 0.6 * sin(1.3 * $0 + 0.4) }
        direction = series(1, p) { 0.5 * cos(0.7 * $0 + 0.1) }
        actions = series(n, model.dimension) { 1.5 * sin(0.9 * $0 + 0.2) }
        references = series(n, model.dimension) { 1.2 * cos(1.7 * $0 + 0.5) }
        labels = series(n, 1) { 0.5 + 0.4 * sin(2 * $0 + 1) }
        labelSlopes = series(n, model.dimension) { 0.3 * cos(0.8 * $0) }
    }

    convenience init(_ golden: RewardGolden, _: S.Type) throws {
        self.init(try golden.model(S.self))
    }

    deinit { memory.deallocate() }

    /// The penalty that a golden case describes.
    func penalty(_ golden: RewardGolden.Penalty) -> RewardPenalty<S> {
        var penalty = RewardPenalty<S>()
        penalty.reference = golden.reference ? Rows(references) : nil
        penalty.direction = golden.alignment == "direction" ? direction : nil
        penalty.shiftInvariant = golden.alignment == "shift-invariant"
        penalty.labels = golden.overconfidence == "none" ? nil : UnsafePointer(labels.base)
        penalty.labelSlopes = golden.overconfidence == "slope" ? Rows(labelSlopes) : nil
        return penalty
    }

    /// Values and slopes of a penalty at the actions.
    func evaluate(_ penalty: RewardPenalty<S>) throws -> (values: [Double], slopes: [Double]) {
        func open<Model: SmoothRewardModel<S>>(_ model: Model) throws -> ([Double], [Double]) {
            var values = [S](repeating: 0, count: actions.rows)
            var slopes = [S](repeating: 0, count: actions.count)
            try slopes.withUnsafeMutableBufferPointer { slopes in
                let out = MutableRows(
                    base: slopes.baseAddress!, columns: actions.columns,
                    leadingDimension: actions.columns)
                try penalty(
                    &values, slopes: out, of: Rows(actions), model: model, parameters: parameters)
            }
            return (values.map { Double($0) }, slopes.map { Double($0) })
        }
        return try open(model)
    }

    /// The elements that a function writes to a matrix.
    func filled(
        _ rows: Int, _ columns: Int, _ body: (MutableRows<S>) throws -> Void
    ) rethrows -> [Double] {
        let base = UnsafeMutablePointer<S>.allocate(capacity: max(1, rows * columns))
        defer { base.deallocate() }
        base.initialize(repeating: 99, count: rows * columns)
        try body(MutableRows(base: base, columns: columns, leadingDimension: columns))
        return (0..<rows * columns).map { Double(base[$0]) }
    }
}
