import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct RewardPenaltyTests {
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
