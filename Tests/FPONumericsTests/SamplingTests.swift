import FPONumerics
import FPOTestSupport
import Foundation
import Testing

/// The distribution by a full sort, in double: the tokens kept, and their probabilities.
private func distribution(_ z: [Double], _ s: Sampling, _ banned: [Int]) -> [Int: Double] {
    var order = z.indices.filter { !banned.contains($0) }.sorted { (z[$0], $1) > (z[$1], $0) }
    if s.topK > 0 { order = Array(order.prefix(s.topK)) }
    let weights = order.map { exp((z[$0] - z[order[0]]) / Double(s.temperature)) }
    let total = weights.reduce(0, +)
    var kept = order.count, sum = 0.0
    for (i, weight) in weights.enumerated() where s.topP < 1 {
        sum += weight
        if sum >= Double(s.topP) * total {
            kept = i + 1
            break
        }
    }
    let mass = weights[..<kept].reduce(0, +)
    return Dictionary(uniqueKeysWithValues: (0..<kept).map { (order[$0], weights[$0] / mass) })
}

private let samplings = [
    Sampling(), Sampling(temperature: 0.6), Sampling(topK: 5), Sampling(topP: 0.8),
    Sampling(temperature: 1.4, topK: 40, topP: 0.9), Sampling(topK: 1), Sampling(topP: 1e-6),
]

/// The draw is the inverse of the distribution function in the order of tokens, ties included.
@Test(arguments: 0..<samplings.count, [0, 3])
func drawsFollowTheSortedDistribution(_ index: Int, _ bans: Int) {
    let sampling = samplings[index], n = 300
    // Steps of a quarter, so that there are ties.
    let z = wave(1, n).map { (12 * $0).rounded() / 4 }
    let banned = (0..<bans).map { 7 * $0 + 1 } + (bans > 0 ? [1] : [])
    let kept = distribution(z, sampling, banned), normaliser = log(z.map(exp).reduce(0, +))
    let logits = floats((0..<64).flatMap { _ in z }, rows: 64), before = logits.doubles
    let uniform = (0..<64).map { (Float($0) + 0.37) / 64 }
    var tokens = [Int32](repeating: -1, count: 64), p = [Float](repeating: 0, count: 64)
    sampling.sample(
        logits, uniform: uniform, banned: banned.map(Int32.init), tokens: &tokens,
        logProbabilities: &p)
    #expect(logits.doubles == before)
    for (i, token) in tokens.enumerated() {
        let probability = kept[Int(token)] ?? 0
        let below = kept.filter { $0.key < Int(token) }.values.reduce(0, +)
        #expect(probability > 0)
        #expect(Double(uniform[i]) >= below - 1e-5)
        #expect(Double(uniform[i]) <= below + probability + 1e-5)
        #expect((Double(p[i]) - (z[Int(token)] - normaliser)).magnitude < 1e-5)
    }
}

@Test func greedyTakesTheLowestOfEquals() {
    let logits = floats([1, 4, 4, -1, .nan, 0, -.infinity, 4], rows: 1)
    var token: Int32 = -1, p: Float = 0
    Sampling(temperature: 0).sample(
        logits, uniform: [0.9], tokens: &token, logProbabilities: &p)
    #expect(token == 1)
    Sampling(temperature: 0).sample(
        logits, uniform: [0.9], banned: [1], tokens: &token, logProbabilities: &p)
    #expect(token == 2)
}

@Test func aRowWithoutAFiniteLogitGivesNotANumber() {
    for value in [-Double.infinity, .nan, .infinity] {
        let logits = floats([value, value], rows: 1)
        var token: Int32 = -1, p: Float = 0
        for sampling in samplings {
            sampling.sample(logits, uniform: [0.5], tokens: &token, logProbabilities: &p)
            #expect(token == 0 && p.isNaN)
        }
    }
}

/// Candidates of one prompt draw from one row in memory, at once.
@Test func rowsMayBeTheSameInMemory() throws {
    let n = 5000, rows = 256
    let row: [Float] = (0..<n).map { Float(($0 * 7919) % 101) / 12 }
    let separate = [[Float]](repeating: row, count: rows).flatMap { $0 }
    let uniform = (0..<rows).map { (Float($0) + 0.5) / Float(rows) }
    let banned = (0..<Int32(n)).filter { $0 % 3 == 0 }
    func drawn(_ logits: [Float], _ ld: Int) -> ([Int32], [Float]) {
        var logits = logits
        var tokens = [Int32](repeating: 0, count: rows)
        var logP = [Float](repeating: 0, count: rows)
        logits.withUnsafeMutableBufferPointer {
            Sampling(temperature: 0.8, topP: 0.95).sample(
                MatrixBlock(base: $0.baseAddress!, rows: rows, columns: n, leadingDimension: ld),
                uniform: uniform, banned: banned, tokens: &tokens, logProbabilities: &logP)
        }
        return (tokens, logP)
    }
    let expected = drawn(separate, n)
    #expect(expected.0.allSatisfy { $0 % 3 != 0 })
    for _ in 0..<8 {
        let found = drawn(row, 0)
        #expect(found.0 == expected.0)
        #expect(found.1 == expected.1)
    }
}
