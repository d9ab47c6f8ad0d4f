import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

/// Logits in chunks of any size give torch's loss, entropy and gradient.
@Test(arguments: [1, 7, 16, 50])
func crossEntropyMatchesTorch(_ chunk: Int) throws {
    let values = try expected("crossEntropy")
    let logits = floats(wave(1, 200).map { 6 * $0 }, rows: 4)
    let states = ones(24, rows: 4), targets: [Int32] = [3, 49, 0, 17]
    let starts = Array(stride(from: 0, to: 50, by: chunk))
    CrossEntropy.begin(states)
    for first in starts {
        CrossEntropy.accumulate(
            states, logits: logits.columns(first..<min(first + chunk, 50)), firstToken: first,
            targets: targets)
    }
    let p = ones(4), l = ones(4), entropy = ones(4)
    var greatest = [Int32](repeating: -1, count: 4)
    CrossEntropy.finish(
        states, logProbability: p.base, logSumExp: l.base, entropy: entropy.base,
        greatest: &greatest)
    for i in 0..<4 {
        let row = (0..<50).map { logits[i, $0] }
        #expect(Int(greatest[i]) == row.firstIndex(of: row.max()!))
    }
    for first in starts {
        CrossEntropy.gradient(
            logits.columns(first..<min(first + chunk, 50)), firstToken: first, targets: targets,
            logSumExp: l.base, coefficients: slope(4, rows: 4).base)
    }
    #expect(relativeError(p.doubles, values[0]) < 1e-6)
    #expect(relativeError(entropy.doubles, values[1]) < 3e-6)
    #expect(relativeError(logits.doubles.map { 6 * $0 }, values[2]) < 2e-6)
}
