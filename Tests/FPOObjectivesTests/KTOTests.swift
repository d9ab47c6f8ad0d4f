import FPOObjectives
import Testing

@Test func ktoGoldenValues() {
    let z = KTO.baseline(
        count: 3, logProbability: [0.3, -0.1, 0.5], referenceLogProbability: [0, 0, 0])
    #expect(abs(z - 0.7 / 3) < 1e-15)
    let good = KTO()(Response(logProbability: -2), isDesirable: true, baseline: z)
    #expect(abs(good.loss - 0.555602415) < 1e-9 && abs(good.derivative + 0.024690837) < 1e-9)
    let bad = KTO()(Response(logProbability: -1.5), isDesirable: false, baseline: z)
    #expect(abs(bad.loss - 0.456774836) < 1e-9 && abs(bad.derivative - 0.024813159) < 1e-9)
}

@Test func ktoBaselineIsNeverNegative() {
    #expect(KTO.baseline(count: 1, logProbability: [-3], referenceLogProbability: [0]) == 0)
    #expect(KTO.baseline(count: 0, logProbability: [], referenceLogProbability: []) == 0)
}

@Test func ktoWeightsScaleTheirClass() {
    var loss = KTO()
    loss.desirableWeight = 2
    loss.undesirableWeight = 3
    let y = Response(logProbability: -2, referenceLogProbability: -1)
    for (isDesirable, weight) in [(true, 2.0), (false, 3)] {
        let one = KTO()(y, isDesirable: isDesirable, baseline: 0.1)
        let scaled = loss(y, isDesirable: isDesirable, baseline: 0.1)
        #expect(abs(scaled.loss - weight * one.loss) < 1e-15)
        #expect(abs(scaled.derivative - weight * one.derivative) < 1e-15)
    }
}
