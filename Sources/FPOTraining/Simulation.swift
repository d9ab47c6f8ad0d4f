import FPOKernelTypes
public import FPONumerics
import Synchronization

/// Many games of one environment, one seed each, played in lockstep lanes on the thread pool.
///
/// A game depends on its seed alone: neither on the games beside it nor on the number of threads.
public final class Simulation: Sendable {
    /// What the games start from and draw. Noise arrays are borrowed for the simulation's life.
    public struct Inputs: @unchecked Sendable {
        public var seeds: [UInt64]
        public var start: [Double]
        public var centre: [Double]
        /// `(seeds, parameters)`, or nil to draw them.
        public var initialWeights: [Double]?
        public var innerNoise: UnsafePointer<Double>?
        public var labelNoise: UnsafePointer<Double>?

        public init(seeds: [UInt64], start: [Double], centre: [Double]) {
            self.seeds = seeds
            self.start = start
            self.centre = centre
        }
    }

    /// Where records go: a row per metric of `Metric.allCases`, `(games, records)` each, and the
    /// actions `(games, records, dimension)`; nil where not wanted.
    public struct Trace: @unchecked Sendable {
        public var metrics: [UnsafeMutablePointer<Double>?]
        public var action: UnsafeMutablePointer<Double>?

        public init(
            metrics: [UnsafeMutablePointer<Double>?], action: UnsafeMutablePointer<Double>?
        ) {
            self.metrics = metrics
            self.action = action
        }

        fileprivate var isEmpty: Bool { action == nil && metrics.allSatisfy { $0 == nil } }

        fileprivate var wanted: MetricSet {
            var wanted = MetricSet()
            for metric in Metric.allCases where metrics[metric.rawValue] != nil {
                wanted.insert(metric)
            }
            return wanted
        }
    }

    public let environment: Environment
    public let count: Int
    public let parameterCount: Int
    /// Numbers that make up one game's state.
    public let stateCount: Int

    private let kernels: GameKernels
    private let plan: GamePlan
    private let groups: [GameGroup]
    // What the plan and the groups point into.
    private let widths, indices: Buffer<Int>
    private let centre: Buffer<Double>
    private let keys: Buffer<StreamKeys>
    private let memory: Buffer<UInt8>
    private let played = Atomic<Int>(0)
    private let cancelled = Atomic<Bool>(false)

    /// Environment, penalty and inputs have been checked: sizes agree, numbers are in bounds.
    public init(
        _ environment: Environment, _ penalty: SteeringPenalty, _ inputs: Inputs
    ) throws(NumericsError) {
        let (kernels, normal) = try Self.kernels(environment)
        let (lanes, count) = (kernels.lanes, inputs.seeds.count)
        widths = try Buffer.copy(of: environment.widths)
        centre = try Buffer.copy(of: inputs.centre)
        var plan = GamePlan(environment, penalty, widths: widths.base, centre: centre.base)
        plan.innerNoise = inputs.innerNoise
        plan.labelDraws = inputs.labelNoise
        let P = plan.parameterCount

        let (groupCount, groupBytes) = try Self.size(kernels, plan, games: count)
        memory = try Buffer(groupCount, groupBytes)
        keys = try Buffer(groupCount, lanes)
        indices = try Buffer(groupCount, lanes)
        let start = try Buffer.copy(of: inputs.start)
        let weights = try Buffer<Double>(lanes, P)
        var groups: [GameGroup] = []
        groups.reserveCapacity(groupCount)
        for g in 0..<groupCount {
            let group = GameGroup(
                memory: memory.base + g * groupBytes, games: indices.base + g * lanes,
                keys: keys.base + g * lanes)
            for lane in 0..<lanes {
                let game = min(g * lanes + lane, count - 1)
                let key = RandomKey(seed: inputs.seeds[game])
                indices.base[g * lanes + lane] = game
                keys.base[g * lanes + lane] = StreamKeys(key)
                let row = weights.base + lane * P
                if let given = inputs.initialWeights {
                    for i in 0..<P { row[i] = given[game * P + i] }
                } else {
                    normal(key.fold(0).value, P, row)
                    environment.shapeInitialWeights(row, count: P)
                }
            }
            kernels.start(plan, group, start.base, weights.base)
            groups.append(group)
        }
        self.fingerprint = Fingerprint(environment, penalty, inputs).value
        self.environment = environment
        self.count = count
        self.parameterCount = P
        self.stateCount = kernels.stateVectors(plan)
        self.kernels = kernels
        self.plan = plan
        self.groups = groups
    }

    /// The games' memory in bytes, found before anything is allocated: so that a caller can refuse
    /// a number of games whose seeds alone would not fit.
    public static func memory(
        _ environment: Environment, _ penalty: SteeringPenalty, games: Int
    ) throws(NumericsError) -> Int {
        let (kernels, _) = try kernels(environment)
        let widths = try Buffer.copy(of: environment.widths)
        let centre = try Buffer<Double>(environment.dimension)
        let plan = GamePlan(environment, penalty, widths: widths.base, centre: centre.base)
        let (groups, bytes) = try size(kernels, plan, games: games)
        let (total, overflow) = groups.multipliedReportingOverflow(by: bytes)
        return overflow ? .max : total
    }

    private static func kernels(
        _ environment: Environment
    ) throws(NumericsError) -> (GameKernels, KernelTable<Double>.Stream) {
        let games = environment.precision == .float32 ? CPU.floatGames : CPU.doubleGames
        guard let games, let normal = CPU.double?.normal else { throw .processor }
        return (games, normal)
    }

    /// Groups of games, and the bytes of one: a multiple of 64.
    private static func size(
        _ kernels: GameKernels, _ plan: GamePlan, games: Int
    ) throws(NumericsError) -> (groups: Int, bytes: Int) {
        let (bytes, overflow) = kernels.memoryVectors(plan).multipliedReportingOverflow(
            by: kernels.lanes * kernels.elementSize)
        guard !overflow, bytes < .max - 64 else { throw .memory(bytes: .max) }
        return ((games - 1) / kernels.lanes + 1, (bytes + 63) / 64 * 64)
    }

    /// Rounds that all games have played.
    public var round: Int { played.load(ordering: .acquiring) }

    /// Ends the step that is running, or the next one, at the next barrier between rounds.
    public func cancel() { cancelled.store(true, ordering: .releasing) }

    /// Records of a whole run: the initial state, one every `recordEvery` rounds, and the last.
    public func records(every recordEvery: Int) -> Int {
        1 + (environment.rounds - 1) / recordEvery + 1
    }

    /// Plays up to `rounds` further rounds, and returns how many; `completed` is false after a
    /// cancel. All games end at the same round.
    public func step(
        _ rounds: Int, recordEvery: Int, trace: Trace?
    ) -> (played: Int, completed: Bool) {
        let first = round
        let last = min(first + min(rounds, environment.rounds), environment.rounds)
        let trace = trace.flatMap { $0.isEmpty ? nil : $0 }
        // Between barriers a task plays so many rounds of one group that waiting costs nothing.
        let chunk = max(1, min(64, 1024 / groups.count))
        var begin = first, end = first
        // One closure for all barriers, so that playing allocates nothing.
        let body: (Int) -> Void = { g in
            self.play(self.groups[g], begin, end, recordEvery, trace)
        }
        return withUnsafePointer(to: body) { body in
            while begin < last {
                if cancelled.exchange(false, ordering: .acquiringAndReleasing) {
                    return (begin - first, false)
                }
                end = min(begin + chunk, last)
                ThreadPool.shared.run(tasks: groups.count, at: body)
                begin = end
                played.store(end, ordering: .releasing)
            }
            return (last - first, true)
        }
    }

    /// Plays rounds `begin ..< end` of one group, and records those that are due.
    private func play(
        _ group: GameGroup, _ begin: Int, _ end: Int, _ recordEvery: Int, _ trace: Trace?
    ) {
        guard let trace else {
            kernels.play(plan, group, begin, end - begin, nil)
            return
        }
        let capacity = Metric.allCases.count * kernels.lanes
        withUnsafeTemporaryAllocation(of: Double.self, capacity: capacity) { buffer in
            let metrics = buffer.baseAddress!
            let measurement = Measurement(trace.wanted, into: metrics)
            if begin == 0 {
                kernels.measure(plan, group, 0, measurement)
                write(trace, 0, recordEvery, group, metrics)
            }
            var round = begin
            while round < end {
                let next = min(end, (round / recordEvery + 1) * recordEvery)
                let due = next % recordEvery == 0 || next == environment.rounds
                kernels.play(plan, group, round, next - round, due ? measurement : nil)
                if due { write(trace, next, recordEvery, group, metrics) }
                round = next
            }
        }
    }

    private func write(
        _ trace: Trace, _ round: Int, _ recordEvery: Int, _ group: GameGroup,
        _ metrics: UnsafePointer<Double>
    ) {
        let records = records(every: recordEvery)
        let record = (round + recordEvery - 1) / recordEvery
        for (m, out) in trace.metrics.enumerated() {
            guard let out else { continue }
            for lane in 0..<kernels.lanes where isFirst(lane, group) {
                out[group.games[lane] * records + record] = metrics[m * kernels.lanes + lane]
            }
        }
        guard let action = trace.action else { return }
        let d = plan.dimension
        withUnsafeTemporaryAllocation(of: Double.self, capacity: kernels.lanes * d) { theta in
            kernels.read(plan, group, 0, d, theta.baseAddress!)
            for lane in 0..<kernels.lanes where isFirst(lane, group) {
                let row = action + (group.games[lane] * records + record) * d
                for i in 0..<d { row[i] = theta[lane * d + i] }
            }
        }
    }

    /// Whether a lane is a game of its own, not an idle repetition of the last.
    private func isFirst(_ lane: Int, _ group: GameGroup) -> Bool {
        lane == 0 || group.games[lane] != group.games[lane - 1]
    }

    // MARK: State

    /// Numbers that are read or written at once.
    private static let piece = 4096

    /// Reads numbers `from ..< from + width` of each game's state as doubles `(count, width)`.
    private func read(_ from: Int, _ width: Int, _ out: UnsafeMutableRawPointer) {
        transfer(width) { group, start, n, rows in
            kernels.read(plan, group, from + start, n, rows)
            for lane in 0..<kernels.lanes where isFirst(lane, group) {
                (out + 8 * (group.games[lane] * width + start)).copyMemory(
                    from: rows + lane * n, byteCount: 8 * n)
            }
        }
    }

    /// Calls `body` for each group and piece of `0 ..< width`, with room for the piece's lanes.
    private func transfer(
        _ width: Int, _ body: (GameGroup, Int, Int, UnsafeMutablePointer<Double>) -> Void
    ) {
        let capacity = kernels.lanes * min(width, Self.piece)
        withUnsafeTemporaryAllocation(of: Double.self, capacity: capacity) { rows in
            for group in groups {
                for start in stride(from: 0, to: width, by: Self.piece) {
                    body(group, start, min(Self.piece, width - start), rows.baseAddress!)
                }
            }
        }
    }

    /// The actions `(count, dimension)`.
    public func actions(_ out: UnsafeMutablePointer<Double>) { read(0, plan.dimension, out) }

    /// The reward models' parameters `(count, parameterCount)`.
    public func weights(_ out: UnsafeMutablePointer<Double>) {
        read(plan.dimension, parameterCount, out)
    }

    /// Tells simulations of different environments, penalties or seeds apart: a hash of all that
    /// was given, but for noise arrays.
    public let fingerprint: UInt64

    /// The whole state, doubles `(count, stateCount)`, which `restore` takes back.
    public func state(_ out: UnsafeMutableRawPointer) { read(0, stateCount, out) }

    public func restore(_ state: UnsafeRawPointer, round: Int) {
        transfer(stateCount) { group, start, n, rows in
            for lane in 0..<kernels.lanes {
                UnsafeMutableRawPointer(rows + lane * n).copyMemory(
                    from: state + 8 * (group.games[lane] * stateCount + start), byteCount: 8 * n)
            }
            kernels.write(plan, group, start, n, rows)
        }
        played.store(round, ordering: .releasing)
    }
}

extension StreamKeys {
    /// The streams of one game; child 0 of its key draws the initial weights.
    init(_ key: RandomKey) {
        self.init(
            inner: key.fold(1).value, label: key.fold(2).value, labelNoise: key.fold(3).value,
            probe: key.fold(4).value)
    }
}
