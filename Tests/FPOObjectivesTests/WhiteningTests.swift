import FPOObjectives
import Testing

@Test func whiteningGoldenValues() {
    var y = [Double](repeating: 0, count: 4)
    Whitening.evaluate(count: 4, [0.604925, 0.5315, 0.77, 0.6], keepsMean: false, into: &y)
    for (a, e) in zip(y, [-0.214030, -0.938859, 1.415538, -0.262649]) { #expect(abs(a - e) < 1e-6) }
    Whitening.evaluate(count: 4, [0.604925, 0.5315, 0.77, 0.6], keepsMean: true, into: &y)
    #expect(abs(y.reduce(0, +) / 4 - 0.62660625) < 1e-12)
}

/// Hazard: one token has no variance, 0/0.
@Test func whiteningOfOneOrOfEqualNumbers() {
    var y = [7.0, 7, 7]
    Whitening.evaluate(count: 1, [3], keepsMean: false, into: &y)
    #expect(y == [0, 7, 7])
    Whitening.evaluate(count: 3, [0.1, 0.1, 0.1], keepsMean: false, into: &y)
    #expect(y == [0, 0, 0])
    Whitening.evaluate(count: 3, [0.1, 0.1, 0.1], keepsMean: true, into: &y)
    #expect(y == [0.1, 0.1, 0.1])
    Whitening.evaluate(count: 0, [], keepsMean: true, into: &y)
}
