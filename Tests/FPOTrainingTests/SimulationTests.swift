import FPOKernelTypes
import FPONumerics
import FPOTestSupport
import Testing

@testable import FPOTraining

/// A whole run, traced.
struct Played {
    var metrics: [[Double]]  // Metric.allCases, (games, records)
    var action: [Double]  // (games, records, dimension)
    subscript(_ metric: Metric) -> [Double] { metrics[metric.rawValue] }
}

func simulation(
    _ e: Environment, _ penalty: SteeringPenalty, seeds: [UInt64],
    weights: [Double]? = nil
) throws -> Simulation {
    var inputs = Simulation.Inputs(
        seeds: seeds, start: [Double](repeating: 0.1, count: e.dimension),
        centre: (0..<e.dimension).map { $0.isMultiple(of: 2) ? 0.3 : -0.2 })
    inputs.initialWeights = weights
    return try Simulation(e, penalty, inputs)
}

func play(_ s: Simulation, every: Int = 1, chunks: [Int] = [.max]) -> Played {
    let records = s.records(every: every)
    let d = s.environment.dimension
    var played = Played(
        metrics: Metric.allCases.map { _ in [Double](repeating: .nan, count: s.count * records) },
        action: [Double](repeating: .nan, count: s.count * records * d))
    played.metrics.withUnsafeMutableBufferPointer { metrics in
        played.action.withUnsafeMutableBufferPointer { action in
            let trace = Simulation.Trace(
                metrics: metrics.indices.map { m in
                    metrics[m].withUnsafeMutableBufferPointer { $0.baseAddress }
                }, action: action.baseAddress)
            for rounds in chunks { _ = s.step(rounds, recordEvery: every, trace: trace) }
        }
    }
    return played
}

/// Small worlds with every feature on: noise, bias, odd sizes, several hidden layers.
func smallWorld(hidden: [Int]) -> Environment {
    var e = hidden.isEmpty ? Environment.linear : .neural
    e.hidden = hidden
    e.rewardBias = true
    e.precision = .float64
    e.dimension = 5
    e.signalDimension = 2
    e.rounds = 9
    e.innerSteps = 3
    e.labelsPerRound = 3
    e.labelBuffer = 8
    e.exploration = 0.2
    e.explorationFinal = 0.1
    e.policyRate = 0.05
    e.penaltyWeight = 0.03
    e.labelNoise = 0.1
    e.labelBias = 0.5
    e.initialWeightScale = 0.5
    return e
}

let everyPenalty: [SteeringPenalty] = {
    var all: [SteeringPenalty] = SteeringPenalty.Kind.allCases.map { SteeringPenalty($0) }
    for curvature in SteeringPenalty.Curvature.allCases {
        for alignment in SteeringPenalty.Alignment.allCases {
            for oracle in [SteeringPenalty.OracleGradient.no, .yes] {
                var exact = SteeringPenalty(.exact)
                exact.weight = 0.3
                exact.damping = 0.2
                exact.curvature = curvature
                exact.alignment = alignment
                exact.oracleGradient = oracle
                all.append(exact)
            }
        }
    }
    var relaxed = SteeringPenalty(.relaxed)
    relaxed.oracleGradient = .yes
    var held = SteeringPenalty(.residual)
    held.estimatorGradient = false
    held.estimator = .ridge
    held.estimatorBuffer = 11
    var ridge = SteeringPenalty(.residual)
    ridge.estimator = .ridge
    var affine = SteeringPenalty(.residual)
    affine.filter.estimatesCurvature = false
    var climber = SteeringPenalty(.residual)
    climber.alignment = .unit
    climber.weight = 1
    var steered = SteeringPenalty(.residual)
    (steered.alignment, steered.curvature, steered.damping) = (.mean, .inverse, 0.2)
    return all + [relaxed, held, ridge, affine, climber, steered]
}()

let worlds: [[Int]] = [[], [9], [6, 5], [7, 3, 10]]

@Suite struct SimulationTests {
    /// The policy's gradient is hand-written for every penalty and depth; a forward difference of
    /// the objective is not.
    @Test(arguments: worlds, everyPenalty.indices)
    func analyticGradientIsTheForwardDifference(hidden: [Int], index: Int) throws {
        var e = smallWorld(hidden: hidden)
        let analytic = play(try simulation(e, everyPenalty[index], seeds: [1, 2, 3]))
        e.gradient = .forwardDifference
        e.differenceStep = 1e-6
        let difference = play(try simulation(e, everyPenalty[index], seeds: [1, 2, 3]))
        #expect(relativeError(analytic.action, difference.action, floor: 1) < 2e-4)
        #expect(!analytic.action.contains { !$0.isFinite })
    }

    /// Penalties differ from each other: a penalty that did nothing would pass the test above.
    @Test(arguments: worlds)
    func penaltiesMatter(hidden: [Int]) throws {
        let e = smallWorld(hidden: hidden)
        let ends = try SteeringPenalty.Kind.allCases.map {
            play(try simulation(e, SteeringPenalty($0), seeds: [5])).action.suffix(e.dimension)
        }
        for (i, a) in ends.enumerated() {
            for b in ends[..<i] { #expect(Array(a) != Array(b)) }
        }
    }

    @Test(arguments: worlds, everyPenalty.indices)
    func floatFollowsDouble(hidden: [Int], index: Int) throws {
        var e = smallWorld(hidden: hidden)
        let double = play(try simulation(e, everyPenalty[index], seeds: [1, 2]))
        e.precision = .float32
        let float = play(try simulation(e, everyPenalty[index], seeds: [1, 2]))
        #expect(relativeError(float.action, double.action, floor: 1) < 2e-3)
        for metric in Metric.allCases {
            #expect(relativeError(float[metric], double[metric], floor: 1) < 2e-2, "\(metric)")
        }
    }

    /// The same game alone, in any company, in any lane, in any chunks and on any threads.
    @Test(arguments: worlds, [Environment.Precision.float32, .float64])
    func aGameDependsOnItsSeedAlone(hidden: [Int], precision: Environment.Precision) throws {
        var e = smallWorld(hidden: hidden)
        e.precision = precision
        let penalty = SteeringPenalty(.residual)
        let seeds = (0..<37).map { UInt64($0 * $0 + 3) }
        let before = ThreadPool.shared.count
        defer { ThreadPool.shared.count = before }
        ThreadPool.shared.count = 1
        let together = play(try simulation(e, penalty, seeds: seeds))
        ThreadPool.shared.count = 3
        let threaded = play(
            try simulation(e, penalty, seeds: seeds), chunks: [1, 0, 2, 3, .max])
        #expect(together.metrics == threaded.metrics)
        #expect(together.action == threaded.action)
        let row = together.action.count / seeds.count
        for game in [0, 8, 36] {
            let alone = play(try simulation(e, penalty, seeds: [seeds[game]]))
            #expect(alone.action == Array(together.action[game * row..<(game + 1) * row]))
        }
    }

    @Test(arguments: worlds, everyPenalty.indices)
    func aRestoredGameGoesOnBitForBit(hidden: [Int], index: Int) throws {
        var e = smallWorld(hidden: hidden)
        if index.isMultiple(of: 2) { e.precision = .float32 }
        let penalty = everyPenalty[index]
        let straight = play(try simulation(e, penalty, seeds: [7, 8, 9]))

        let first = try simulation(e, penalty, seeds: [7, 8, 9])
        _ = play(first, chunks: [4])
        var state = [Double](repeating: 0, count: first.count * first.stateCount)
        state.withUnsafeMutableBufferPointer { first.state($0.baseAddress!) }
        let second = try simulation(e, penalty, seeds: [7, 8, 9])
        #expect(second.fingerprint == first.fingerprint)
        second.restore(state, round: first.round)
        let rest = play(second)
        let records = e.rounds + 1, d = e.dimension
        for game in 0..<3 {
            let later = (game * records + 5) * d..<(game + 1) * records * d
            #expect(rest.action[later] == straight.action[later])
        }
    }

    @Test func fingerprintsTellSimulationsApart() throws {
        let e = smallWorld(hidden: [4])
        var other = e
        other.labelNoise = 0.2
        let base = try simulation(e, SteeringPenalty(.myopic), seeds: [1]).fingerprint
        #expect(try simulation(other, SteeringPenalty(.myopic), seeds: [1]).fingerprint != base)
        #expect(try simulation(e, SteeringPenalty(.practical), seeds: [1]).fingerprint != base)
        #expect(try simulation(e, SteeringPenalty(.myopic), seeds: [2]).fingerprint != base)
        #expect(try simulation(e, SteeringPenalty(.myopic), seeds: [1]).fingerprint == base)
    }

    /// Records: the start, every period, and the last round even between periods.
    @Test(arguments: [1, 2, 4, 9, 100])
    func recordsAreTheRightRounds(every: Int) throws {
        let e = smallWorld(hidden: [4])
        let penalty = SteeringPenalty(.practical)
        let all = play(try simulation(e, penalty, seeds: [1, 2]))
        let some = play(
            try simulation(e, penalty, seeds: [1, 2]), every: every, chunks: [5, .max])
        let rounds = Array(stride(from: 0, to: e.rounds, by: every)) + [e.rounds]
        let d = e.dimension
        #expect(some[.utility].count == 2 * rounds.count)
        for game in 0..<2 {
            for (record, round) in rounds.enumerated() {
                let a = game * rounds.count + record, b = game * (e.rounds + 1) + round
                #expect(some[.utility][a] == all[.utility][b])
                #expect(some[.offPolicyError][a] == all[.offPolicyError][b])
                #expect(some.action[a * d..<(a + 1) * d] == all.action[b * d..<(b + 1) * d])
            }
        }
        #expect(all.action.prefix(d).allSatisfy { abs($0 - 0.1) < 1e-15 })
    }

    @Test func cancelEndsAtARoundOfAllGames() throws {
        let s = try simulation(smallWorld(hidden: [4]), SteeringPenalty(.myopic), seeds: [1, 2])
        s.cancel()
        let (played, completed) = s.step(5, recordEvery: 1, trace: nil)
        #expect(played == 0 && !completed && s.round == 0)
        let again = s.step(5, recordEvery: 1, trace: nil)
        #expect(again.played == 5 && again.completed && s.round == 5)
        #expect(s.step(.max, recordEvery: 1, trace: nil).played == 4)
        #expect(s.step(.max, recordEvery: 1, trace: nil).played == 0)
    }

    /// Exact FPO is the oracle in disguise: with an output bias and vanishing damping `⟨g, w⟩ = 1`
    /// on the labels, so `r − P` is the label's utility there.
    @Test func exactPenaltyIsTheOverconfidenceAtNoDamping() throws {
        var e = smallWorld(hidden: [8, 8])
        e.exploration = 1e-4
        e.explorationFinal = 1e-4
        e.policyRate = 1e-3
        e.policyRateFinal = 1e-3
        var penalty = SteeringPenalty(.exact)
        penalty.damping = 1e-9
        let run = play(try simulation(e, penalty, seeds: [4]))
        let last = e.rounds
        #expect(
            abs(run[.penalty][last] - run[.overconfidence][last])
                < 1e-3 * abs(run[.overconfidence][last]))
    }
}
