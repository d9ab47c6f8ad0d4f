import FPONumerics
import FPOObjectives
import FPOTestSupport
import Testing

@Test(arguments: 1...4) func scoresAreSkewSymmetricExactly(blocks: Int) {
    var rng = SplitMix64(seed: blocks)
    let model = GeneralPreference(blocks: blocks, temperature: 0.1)
    let v = (0..<2 * blocks).map { _ in Double.random(in: -1...1, using: &rng) }
    let u = (0..<2 * blocks).map { _ in Double.random(in: -1...1, using: &rng) }
    #expect(model.score(v, u, weights: nil) == -model.score(u, v, weights: nil))
    #expect(model.score(v, v, weights: nil) == 0)
}

/// No scalar reward holds a cycle; one block does.
@Test func oneBlockHoldsACycle() {
    let model = GeneralPreference(blocks: 1, temperature: 0.1)
    let a = [1.0, 0], b = [-0.5, (3.0).squareRoot() / 2], c = [-0.5, -(3.0).squareRoot() / 2]
    for (x, y) in [(a, b), (b, c), (c, a)] {
        #expect(abs(model.score(x, y, weights: nil) - (3.0).squareRoot() / 2) < 1e-15)
    }
}

@Test(arguments: 1...3)
func generalPreferenceSlopesMatchFiniteDifferences(blocks: Int) throws {
    var rng = SplitMix64(seed: blocks)
    let d = 2 * blocks
    let buffer = try Buffer<Double>(1, 2 * d + blocks)
    let x = Matrix(base: buffer.base, rows: 1, columns: 2 * d + blocks)
    x.fillRandom(-1...1, using: &rng)
    let model = GeneralPreference(blocks: blocks, temperature: 0.3)
    let gradient = try Buffer<Double>(2 * d + blocks)
    func loss(_ g: UnsafeMutablePointer<Double>?) -> Double {
        model.loss(
            chosen: x.base, rejected: x.base + d, weights: x.base + 2 * d, margin: 0.2,
            dChosen: g, dRejected: g.map { $0 + d }, dWeights: g.map { $0 + 2 * d })
    }
    _ = loss(gradient.base)
    let expected = numericalGradient(at: x) { loss(nil) }
    #expect(relativeError((0..<2 * d + blocks).map { gradient.base[$0] }, expected) < 1e-8)
}
