import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

/// Every 60th element, which is what the golden file keeps of long vectors.
private func thinned(_ elements: [Double]) -> [Double] {
    elements.count < 100
        ? elements : stride(from: 0, to: elements.count, by: 60).map { elements[$0] }
}

@Suite struct RewardEvaluationTests {
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

    /// Batches are cut by their size: every row comes out as it does alone, with the same bits.
    @Test func batchesAreTheirRows() throws {
        let model = try MLPReward<Double>(dimension: 5, hidden: [9, 4])
        let e = RewardExample<Double>(model), n = 150
        var arena = try Arena<Double>(capacity: 5000)
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
}
