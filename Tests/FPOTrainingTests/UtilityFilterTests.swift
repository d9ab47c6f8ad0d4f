import FPOKernelTypes
import FPONumerics
import FPOTestSupport
import Testing

@testable import FPOTraining

/// The state of one game's utility filter: docs/math/utility-filter.md.
private struct Filter {
    let reference, mean: [Double]
    let covariance: [[Double]]
    let noise: Double

    /// The filter's numbers come last in a game's state.
    init(_ s: Simulation, game: Int = 0) {
        var state = [Double](repeating: 0, count: s.count * s.stateCount)
        state.withUnsafeMutableBufferPointer { s.state($0.baseAddress!) }
        let d = s.environment.dimension, E = d + 2
        var rest = state[game * s.stateCount..<(game + 1) * s.stateCount]
            .suffix(d + E + E * E + 1)
        func take(_ count: Int) -> [Double] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        reference = take(d)
        mean = take(E)
        let flat = take(E * E)
        covariance = (0..<E).map { Array(flat[$0 * E..<($0 + 1) * E]) }
        noise = take(1)[0].squareRoot()
    }
}

@Suite struct UtilityFilterTests {
    /// A utility that the model holds: nearly quadratic, and the same curvature in all directions.
    private func quadraticWorld() -> Environment {
        var e = smallWorld(hidden: [6])
        (e.utilityDecay, e.utilityPeak, e.utilityTarget) = (1e-4, 1e3, 1)
        (e.labelBias, e.labelNoise) = (0, 0)
        (e.exploration, e.explorationFinal, e.policyRateFinal) = (1, 1, 0.05)
        (e.rounds, e.labelsPerRound, e.labelBuffer) = (60, 5, 5)
        return e
    }

    /// Level, slope and mean curvature of `U = peak exp(−decay ‖x‖²)`, `x = y − y*`:
    /// `U`, `−2 decay U x` and `−2 decay U (1 − 2 decay ‖x‖² / d)`.
    @Test(arguments: [Environment.Precision.float32, .float64])
    func findsLevelSlopeAndCurvature(precision: Environment.Precision) throws {
        var e = quadraticWorld()
        e.precision = precision
        var penalty = SteeringPenalty(.residual)
        (penalty.filter.utilityScale, penalty.filter.lengthScale) = (1000, 70)
        let s = try simulation(e, penalty, seeds: [11])
        _ = s.step(.max, recordEvery: 1, trace: nil)
        let filter = Filter(s)
        let d = e.dimension
        let x = (0..<d).map { filter.reference[$0] - ($0 < 2 ? e.utilityTarget : 0) }
        let square = x.reduce(0) { $0 + $1 * $1 }
        let level = e.utilityPeak * Double.exp(-e.utilityDecay * square)
        let slope = -2 * e.utilityDecay * level
        #expect(abs(filter.mean[0] - level) < 0.02)
        for i in 0..<d { #expect(abs(filter.mean[i + 1] - slope * x[i]) < 0.02) }
        let curvature = slope * (1 - 2 * e.utilityDecay * square / Double(d))
        #expect(abs(filter.mean[d + 1] - curvature) < 0.02)
    }

    /// Symmetric and positive definite to the end, in every world.
    @Test(arguments: [[], [9], [6, 5]], [Environment.Precision.float32, .float64])
    func covarianceStaysOne(hidden: [Int], precision: Environment.Precision) throws {
        var e = smallWorld(hidden: hidden)
        (e.precision, e.rounds, e.explorationFinal) = (precision, 400, 1e-4)
        let s = try simulation(e, SteeringPenalty(.residual), seeds: [3])
        _ = s.step(.max, recordEvery: 1, trace: nil)
        let p = Filter(s).covariance
        let scale = p.indices.map { p[$0][$0].squareRoot() }
        for i in p.indices {
            for j in 0..<i { #expect(abs(p[i][j] - p[j][i]) < 1e-9 * scale[i] * scale[j]) }
        }
        let correlation = Samples<Double>(p.count, p.count) { p[$0][$1] / (scale[$0] * scale[$1]) }
        let right = Samples<Double>(p.count, 1) { _, _ in 1 }
        var x = [Double](repeating: 0, count: p.count)
        try Cholesky.solve(correlation.rows, right.rows, into: &x, leadingDimension: 1)
        #expect(x.allSatisfy { $0.isFinite })
    }

    /// The size of the raters' noise is found from either side.
    @Test(arguments: [0.02, 10])
    func findsTheNoiseOfTheLabels(firstGuess: Double) throws {
        var e = quadraticWorld()
        (e.utilityDecay, e.labelNoise, e.rounds) = (1e-6, 0.5, 2000)
        var penalty = SteeringPenalty(.residual)
        (penalty.filter.utilityScale, penalty.filter.lengthScale) = (1000, 700)
        (penalty.filter.noiseScale, penalty.filter.noiseMemory) = (firstGuess, 0.01)
        let s = try simulation(e, penalty, seeds: [1, 2, 3, 4])
        _ = s.step(.max, recordEvery: 1, trace: nil)
        let noise = (0..<4).reduce(0) { $0 + Filter(s, game: $1).noise } / 4
        #expect(abs(noise - 0.5) < 0.1, "found \(noise)")
    }

    /// Without a curvature its mean and its row of the covariance stay zero.
    @Test func anAffineFilterKnowsNoCurvature() throws {
        var penalty = SteeringPenalty(.residual)
        penalty.filter.estimatesCurvature = false
        let s = try simulation(smallWorld(hidden: [4]), penalty, seeds: [5])
        _ = s.step(.max, recordEvery: 1, trace: nil)
        let filter = Filter(s)
        #expect(filter.mean[6] == 0)
        #expect(filter.covariance[6].allSatisfy { $0 == 0 })
        #expect(filter.mean[1] != 0)
    }
}
