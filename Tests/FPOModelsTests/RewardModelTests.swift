import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

/// Every 60th element, which is what the golden file keeps of long vectors.
private func thinned(_ elements: [Double]) -> [Double] {
    elements.count < 100
        ? elements : stride(from: 0, to: elements.count, by: 60).map { elements[$0] }
}

@Suite struct RewardModelTests {
    @Test(arguments: RewardGolden.all)
    func valuesAndDerivativesMatchTorch(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self), n = RewardExample<Double>.n
        let d = golden.dimension, p = golden.parameterCount
        #expect(e.model.layout.count == p)
        let actions = Rows(e.actions)
        let rewards = try e.filled(n, 1) {
            try e.model.rewards($0.base, of: actions, parameters: e.parameters)
        }
        #expect(relativeError(rewards, golden.rewards) < 1e-12)
        let slopes = try e.filled(n, d) {
            try e.model.slopes($0, of: actions, parameters: e.parameters)
        }
        #expect(relativeError(slopes, golden.slopes) < 1e-12)
        let gram = try e.filled(n, n) {
            try e.model.gram($0, of: actions, and: Rows(e.references), parameters: e.parameters)
        }
        #expect(relativeError(gram, golden.gram) < 1e-12)
        if let expected = golden.gradients {
            let gradients = try e.filled(n, p) {
                try e.model.gradients($0, of: actions, parameters: e.parameters)
            }
            #expect(relativeError(gradients, expected) < 1e-12)
        }
    }

    @Test(arguments: RewardGolden.all, [false, true])
    func lossesMatchTorch(_ golden: RewardGolden, withReference: Bool) throws {
        let e = try RewardExample(golden, Double.self)
        var loss = 0.0
        let gradient = try e.filled(1, golden.parameterCount) { out in
            out.base.initialize(repeating: 0, count: golden.parameterCount)
            loss = try e.model.meanLoss(
                dParameters: Matrix(base: out.base, rows: 1, columns: out.columns),
                Rows(e.actions), reference: withReference ? Rows(e.references) : nil,
                labels: e.labels.base, parameters: e.parameters)
        }
        let expected = withReference ? golden.bradleyTerry : golden.squaredError
        let slope = withReference ? golden.bradleyTerryGradient : golden.squaredErrorGradient
        #expect(relativeError([loss], expected) < 1e-12)
        #expect(relativeError(thinned(gradient), slope) < 1e-12)
    }

    @Test(arguments: RewardGolden.all)
    func penaltiesMatchTorch(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self)
        #expect(golden.penalties.count == 18)
        for expected in golden.penalties {
            let (values, slopes) = try e.evaluate(e.penalty(expected))
            #expect(relativeError(values, expected.values) < 1e-12)
            #expect(relativeError(slopes, expected.slopes) < 1e-11)
        }
    }

    /// The value is differentiated as it is computed, so that a wrong value with a right slope, or
    /// the reverse, fails even where torch would agree with neither.
    @Test(arguments: RewardGolden.all)
    func penaltySlopesMatchFiniteDifferences(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self), d = golden.dimension
        let start = e.actions.elements, labels = e.labels.elements
        for described in golden.penalties {
            let penalty = e.penalty(described)
            let (_, slopes) = try e.evaluate(penalty)
            let expected = numericalGradient(at: e.actions) {
                for i in 0..<e.actions.rows {
                    // The label follows its slope where it has one.
                    let moved = (0..<d).reduce(0.0) {
                        $0 + e.labelSlopes[i, $1] * (e.actions[i, $1] - start[i * d + $1])
                    }
                    e.labels[i, 0] = labels[i] + (penalty.labelSlopes == nil ? 0 : moved)
                }
                return try! e.evaluate(penalty).values.reduce(0, +)
            }
            for i in 0..<labels.count { e.labels[i, 0] = labels[i] }
            #expect(relativeError(slopes, expected, floor: 1e-2) < 1e-7, "\(described)")
        }
    }

    /// The verbs on a tape: derivatives against differences, ghost products against gradients.
    @Test(arguments: RewardGolden.all)
    func verbsOfATape(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self)
        func open<Model: SmoothRewardModel<Double>>(_ model: Model) {
            var arena = Arena<Double>(capacity: 60_000)
            let n = RewardExample<Double>.n, d = model.dimension, p = model.layout.count
            func record(_ arena: inout Arena<Double>) -> Model.Tape {
                let tape = model.forward(e.actions, parameters: e.parameters, arena: &arena)
                model.backward(tape, parameters: e.parameters)
                return tape
            }
            let before = arena.peak
            let tape = record(&arena)
            #expect(arena.peak - before == n * model.tapeCount)

            let gradients = arena.matrix(n, p), products = arena.matrix(n, 1)
            let along = arena.matrix(n, 1)
            for i in 0..<n { model.gradient(dParameters: gradients.row(i), row: i, tape: tape) }
            model.gradientDot(products, scale: 1, tape, tape)
            model.gradientDot(along, scale: 1, tape, along: e.direction)
            for i in 0..<n {
                let g = gradients.row(i)
                #expect(relativeError([products[i, 0]], [dot(p, g.base, g.base)]) < 1e-12)
                #expect(relativeError([along[i, 0]], [dot(p, g.base, e.direction.base)]) < 1e-12)
            }

            let mixed = arena.matrix(n, d)
            model.mixedDerivative(
                dInput: mixed, along: e.direction, tape: tape, parameters: e.parameters,
                arena: &arena)
            #expect(relativeError(mixed.elements, golden.mixed) < 1e-12)
            let expected = numericalGradient(at: e.actions) {
                arena.scope { arena in
                    let tape = record(&arena), out = arena.matrix(n, 1)
                    model.gradientDot(out, scale: 1, tape, along: e.direction)
                    return out.elements.reduce(0, +)
                }
            }
            #expect(relativeError(mixed.elements, expected) < 1e-7)

            let thousandth = golden.parameterCount > 100 ? 60 : 1
            for j in stride(from: 0, to: p, by: thousandth) {
                let expected = numericalGradient(
                    at: Matrix(base: e.parameters.base + j, rows: 1, columns: 1)
                ) {
                    arena.scope { arena in
                        model.reward(record(&arena)).elements.reduce(0, +)
                    }
                }
                let sum = (0..<n).reduce(0.0) { $0 + gradients[$1, j] }
                #expect(relativeError([sum], expected, floor: 1e-2) < 1e-8)
            }
        }
        open(e.model)
    }

    /// Batches are cut by their size: every row comes out as it does alone, with the same bits.
    @Test func batchesAreTheirRows() throws {
        let model = try MLPReward<Double>(dimension: 5, hidden: [9, 4])
        let e = RewardExample<Double>(model), n = 150
        var arena = Arena<Double>(capacity: 5000)
        let actions = arena.matrix(n, 5)
        for i in 0..<n {
            for j in 0..<5 { actions[i, j] = e.actions[i % 3, j] }
        }
        let rewards = try e.filled(n, 1) {
            try model.rewards($0.base, of: Rows(actions), parameters: e.parameters)
        }
        let slopes = try e.filled(n, 5) {
            try model.slopes($0, of: Rows(actions), parameters: e.parameters)
        }
        for i in 3..<n {
            #expect(rewards[i] == rewards[i % 3])
            #expect(slopes[5 * i] == slopes[5 * (i % 3)])
        }
    }

    @Test(arguments: RewardGolden.all)
    func emptyBatchWritesNothing(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self)
        let none = Rows(e.actions.rows(0, count: 0))
        let untouched = try e.filled(1, 4) {
            try e.model.rewards($0.base, of: none, parameters: e.parameters)
            try e.model.slopes($0, of: none, parameters: e.parameters)
            try e.model.gradients($0, of: none, parameters: e.parameters)
            try e.model.gram($0, of: none, and: Rows(e.actions), parameters: e.parameters)
            try e.model.gram($0, of: Rows(e.actions), and: none, parameters: e.parameters)
        }
        #expect(untouched == [99, 99, 99, 99])
    }

    @Test(arguments: RewardGolden.all)
    func floatMatchesDouble(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Float.self)
        let slopes = try e.filled(3, golden.dimension) {
            try e.model.slopes($0, of: Rows(e.actions), parameters: e.parameters)
        }
        #expect(relativeError(slopes, golden.slopes) < 1e-5)
        for expected in golden.penalties {
            let (values, slopes) = try e.evaluate(e.penalty(expected))
            #expect(relativeError(values, expected.values, floor: 1) < 1e-4)
            #expect(relativeError(slopes, expected.slopes, floor: 1) < 1e-4)
        }
    }

    @Test(arguments: RewardGolden.all)
    func saturationStaysFinite(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self)
        for i in 0..<e.actions.count { e.actions.base[i] = i % 2 == 0 ? 1e3 : -1e3 }
        for described in golden.penalties {
            let (values, slopes) = try e.evaluate(e.penalty(described))
            let finite = (values + slopes).filter(\.isFinite)
            #expect(finite.count == values.count + slopes.count)
        }
        let loss = try e.model.meanLoss(
            dParameters: nil, Rows(e.actions), reference: Rows(e.references),
            labels: e.labels.base, parameters: e.parameters)
        #expect(loss.isFinite && loss >= 0)
    }

    @Test func penaltyVanishesAtTheReference() throws {
        for golden in RewardGolden.all {
            let e = try RewardExample(golden, Double.self)
            e.references.base.update(from: e.actions.base, count: e.actions.count)
            for described in golden.penalties
            where described.reference && described.alignment != "direction" {
                let values = try e.evaluate(e.penalty(described)).values
                #expect(values == [0, 0, 0])
            }
        }
    }
}
