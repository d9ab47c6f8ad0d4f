import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

@Test func entropyAndDivergenceByHand() {
    let uniform = [3.0, 3, 3, 3], log4 = 1.3862943611198906
    #expect(
        abs(TokenDistribution.entropy(vocabulary: 4, logits: uniform, gradient: nil) - log4) < 1e-15
    )
    // (½, ½) from (¾, ¼): ½ log(4/3).
    let kl = TokenDistribution.divergence(
        vocabulary: 2, logits: [0, 0], reference: [1.0986122886681098, 0], gradient: nil)
    #expect(abs(kl - 0.14384103622589045) < 1e-15)
}

@Test(arguments: 0..<8) func distributionGradientsMatchFiniteDifferences(seed: Int) throws {
    var rng = SplitMix64(seed: seed)
    let V = 1 + seed
    let buffer = try Buffer<Double>(1, V), gradient = try Buffer<Double>(V)
    let z = Matrix(base: buffer.base, rows: 1, columns: V)
    z.fillRandom(-3...3, using: &rng)
    let reference = (0..<V).map { _ in Double.random(in: -3...3, using: &rng) }
    _ = TokenDistribution.entropy(vocabulary: V, logits: z.base, gradient: gradient.base)
    var expected = numericalGradient(at: z) {
        TokenDistribution.entropy(vocabulary: V, logits: z.base, gradient: nil)
    }
    #expect(relativeError((0..<V).map { gradient.base[$0] }, expected) < 1e-8)
    _ = TokenDistribution.divergence(
        vocabulary: V, logits: z.base, reference: reference, gradient: gradient.base)
    expected = numericalGradient(at: z) {
        TokenDistribution.divergence(
            vocabulary: V, logits: z.base, reference: reference, gradient: nil)
    }
    #expect(relativeError((0..<V).map { gradient.base[$0] }, expected) < 1e-8)
}

/// A token of probability e^{−20000} has 0 log 0 = 0 of the entropy.
@Test func certainDistributions() {
    var gradient = [Double](repeating: .nan, count: 2)
    let h = TokenDistribution.entropy(vocabulary: 2, logits: [1e4, -1e4], gradient: &gradient)
    #expect(h == 0 && gradient == [0, 0])
    let kl = TokenDistribution.divergence(
        vocabulary: 2, logits: [1e4, -1e4], reference: [-1e4, 1e4], gradient: &gradient)
    #expect(kl == 2e4 && gradient == [0, 0])
}
