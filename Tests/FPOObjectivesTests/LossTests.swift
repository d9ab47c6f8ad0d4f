import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

// Every loss with parameters. One that is missing here is untested, and `make lint` says so.

let pairRewardLosses: [any PairRewardLoss] = [BradleyTerry(), Davidson(), RaoKupper()]

let preferenceLosses: [any PreferenceLoss] = [
    DPO(), ConservativeDPO(), RobustDPO(), HingeLoss(), IPO(), MeanIPO(), SimPO(), ORPO(), CPO(),
    AlphaPO(), DPOShift(), LengthNormalizedDPO(), EXO(), NCA(), BCO(), SPPO(), APOZero(),
    APODown(), DiscoPOP(), ForwardKLDPO(), JensenShannonDPO(), AlphaDivergenceDPO(),
    DPOPositive(), RPO(),
]

let unpairedLosses: [any UnpairedLoss] = [KTO()]

/// The pair of the golden values: log-ratios -2 and -1.5, 20 and 25 tokens.
let goldenChosen = Response(logProbability: -42, referenceLogProbability: -40, length: 20)
let goldenRejected = Response(logProbability: -45.5, referenceLogProbability: -44, length: 25)

/// Whether a loss has these values at the golden pair, which were found with finite differences of
/// formulas in NumPy.
func expectGolden(
    _ loss: some PreferenceLoss, _ value: Double, _ dChosen: Double, _ dRejected: Double,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let term = loss(chosen: goldenChosen, rejected: goldenRejected)
    for (found, expected) in [
        (term.loss, value), (term.dChosen, dChosen), (term.dRejected, dRejected),
    ] {
        #expect(
            abs(found - expected) <= 1e-7 * max(1, expected.magnitude),
            sourceLocation: sourceLocation)
    }
}

@Suite struct LossConformance {
    @Test(arguments: preferenceLosses, 0..<16)
    func preferenceSlopesMatchFiniteDifferences(loss: any PreferenceLoss, seed: Int) throws {
        var rng = SplitMix64(seed: seed)
        let buffer = try Buffer<Double>(1, 2)
        let logp = Matrix(base: buffer.base, rows: 1, columns: 2)
        logp.fillRandom(-30 ... -8, using: &rng)
        let lengths = (Int.random(in: 1...30, using: &rng), Int.random(in: 1...30, using: &rng))
        let reference = (
            logp[0, 0] + .random(in: -3...3, using: &rng),
            logp[0, 1] + .random(in: -3...3, using: &rng)
        )
        func term() -> PairTerm {
            loss(
                chosen: Response(
                    logProbability: logp[0, 0], referenceLogProbability: reference.0,
                    length: lengths.0),
                rejected: Response(
                    logProbability: logp[0, 1], referenceLogProbability: reference.1,
                    length: lengths.1))
        }
        let exact = term()
        let expected = numericalGradient(at: logp) { term().loss }
        #expect(relativeError([exact.dChosen, exact.dRejected], expected) < 1e-8)
    }

    @Test(arguments: pairRewardLosses, 0..<16)
    func rewardSlopesMatchFiniteDifferences(loss: any PairRewardLoss, seed: Int) throws {
        var rng = SplitMix64(seed: seed)
        let buffer = try Buffer<Double>(1, 2)
        let reward = Matrix(base: buffer.base, rows: 1, columns: 2)
        reward.fillRandom(-3...3, using: &rng)
        let margin = Double.random(in: 0...1, using: &rng)
        let label = [0, 0.3, 0.5, 0.8, 1][seed % 5]
        func term() -> PairTerm {
            loss(chosen: reward[0, 0], rejected: reward[0, 1], margin: margin, label: label)
        }
        let exact = term()
        let expected = numericalGradient(at: reward) { term().loss }
        #expect(relativeError([exact.dChosen, exact.dRejected], expected) < 1e-8)
    }

    @Test(arguments: unpairedLosses, 0..<8)
    func unpairedSlopesMatchFiniteDifferences(loss: any UnpairedLoss, seed: Int) throws {
        var rng = SplitMix64(seed: seed)
        let buffer = try Buffer<Double>(1, 1)
        let logp = Matrix(base: buffer.base, rows: 1, columns: 1)
        logp.fillRandom(-30 ... -8, using: &rng)
        let reference = logp[0, 0] + .random(in: -9...9, using: &rng)
        func term() -> (loss: Double, derivative: Double) {
            loss(
                Response(logProbability: logp[0, 0], referenceLogProbability: reference),
                isDesirable: seed % 2 == 0, baseline: 0.7)
        }
        let exact = term()
        let expected = numericalGradient(at: logp) { term().loss }
        #expect(relativeError([exact.derivative], expected) < 1e-8)
    }

    /// Where a result is beyond double precision it is not finite, and the boundary refuses it:
    /// the exponentials of three losses, and the infinite odds of a certain rejected response.
    @Test(arguments: preferenceLosses)
    func farAwayLossesAreFinite(loss: any PreferenceLoss) {
        if loss is ForwardKLDPO || loss is AlphaDivergenceDPO || loss is AlphaPO { return }
        for (w, l) in [(-1e4, 0.0), (0.0, -1e4), (-1e4, -1e4), (0, 0), (-1, -1e-300)] {
            for (reference, length) in [(0.0, 1), (-1e4, 0), (-500, 1000)] {
                let term = loss(
                    chosen: Response(
                        logProbability: w, referenceLogProbability: reference, length: length),
                    rejected: Response(
                        logProbability: l, referenceLogProbability: reference, length: length))
                let infiniteOdds = loss is ORPO && l == 0
                #expect(term.isFinite != infiniteOdds, "\(w) \(l) \(reference) \(length)")
            }
        }
    }

    /// An identical pair: whatever the likelihood of it earns, the contrast pulls nowhere.
    @Test(arguments: [
        DPO() as any PreferenceLoss, ConservativeDPO(), RobustDPO(), HingeLoss(), IPO(), MeanIPO(),
        SimPO(), AlphaPO(), LengthNormalizedDPO(), EXO(), DiscoPOP(), ForwardKLDPO(),
        JensenShannonDPO(), AlphaDivergenceDPO(),
    ])
    func identicalPairsCancelExactly(loss: any PreferenceLoss) {
        let term = loss(chosen: goldenChosen, rejected: goldenChosen)
        #expect(term.dChosen == -term.dRejected)
    }

    @Test func defaultsAreWithinBounds() {
        func check<L: Loss>(_: L) {
            #expect(!L.parameters.isEmpty)
            for parameter in L.parameters {
                #expect(parameter.bounds.contains(L()[keyPath: parameter.path]))
            }
            #expect(Set(L.parameters.map(\.field)).count == L.parameters.count)
        }
        for loss in pairRewardLosses { check(loss) }
        for loss in preferenceLosses { check(loss) }
        for loss in unpairedLosses { check(loss) }
    }
}
