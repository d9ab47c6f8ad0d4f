import CFPO
import FPOKernelTypes
import FPONumerics
import FPOTraining

@c @implementation
public func fpo_simulation_inputs_init(
    _ inputs: UnsafeMutablePointer<fpo_simulation_inputs>?, _ structSize: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(inputs, structSize, with: fpo_simulation_inputs(), "fpo_simulation_inputs")
    }
}

@c @implementation
public func fpo_trace_init(
    _ trace: UnsafeMutablePointer<fpo_trace>?, _ structSize: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(trace, structSize, with: fpo_trace(), "fpo_trace")
    }
}

@c @implementation
public func fpo_simulation_create(
    _ environment: UnsafePointer<fpo_environment>?, _ penalty: UnsafePointer<fpo_penalty>?,
    _ inputs: UnsafePointer<fpo_simulation_inputs>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let out = try unwrap(out, "out")
        let environment = try Environment(environment)
        let penalty = try SteeringPenalty(penalty)
        let given = try read(inputs, over: fpo_simulation_inputs(), "inputs")
        try require(
            given.count >= 1 && given.count <= 1 << 32, FPO_ERR_DOMAIN,
            "inputs.count: \(UInt(bitPattern: given.count)), but must be 1 to 2^32")
        try requireMemory(
            try attempt { () throws(NumericsError) in
                try Simulation.memory(environment, penalty, games: given.count)
            }, "inputs.count: \(given.count) games")
        let checked = try Simulation.Inputs(given, environment)
        out.pointee = Handle.create(
            try attempt { () throws(NumericsError) in
                try Simulation(environment, penalty, checked)
            })
    }
}

extension Simulation.Inputs {
    init(
        _ c: fpo_simulation_inputs, _ e: Environment
    ) throws(Failure) {
        try require(c.reserved == 0, FPO_ERR_DOMAIN, "inputs.reserved: must be 0")
        let seeds = try unwrap(c.seeds, "inputs.seeds")
        func vector(_ pointer: UnsafePointer<Double>?, _ name: String) throws(Failure) -> [Double] {
            guard let pointer else { return [Double](repeating: 0, count: e.dimension) }
            return Array(
                UnsafeBufferPointer(
                    start: try finiteInput(pointer, count: e.dimension, name), count: e.dimension))
        }
        self.init(
            seeds: Array(UnsafeBufferPointer(start: seeds, count: c.count)),
            start: try vector(c.start, "inputs.start"),
            centre: try vector(c.centre, "inputs.centre"))
        if let weights = c.initial_weights {
            let P = e.parameterCount
            let all = try finiteInput(weights, c.count, P, ld: P, "inputs.initial_weights")
            initialWeights = Array(UnsafeBufferPointer(start: all.base, count: c.count * P))
        }
        if let noise = c.inner_noise {
            let row = try noiseCount(c.count, e.rounds, e.innerSteps, e.dimension, "inner_noise")
            innerNoise = try finiteInput(noise, c.count, row, ld: row, "inputs.inner_noise").base
        }
        if let noise = c.label_noise {
            let row = try noiseCount(
                c.count, e.rounds, e.labelsPerRound, e.dimension, "label_noise")
            labelNoise = try finiteInput(noise, c.count, row, ld: row, "inputs.label_noise").base
        }
    }
}

/// Numbers of one game in a noise array, if the whole of it can be in memory.
private func noiseCount(
    _ count: Int, _ rounds: Int, _ draws: Int, _ dimension: Int, _ name: String
) throws(Failure) -> Int {
    let (row, overflow) = rounds.multipliedReportingOverflow(by: draws * dimension)
    try require(
        !overflow && row <= Int.max / 8 / count, FPO_ERR_MEMORY,
        "inputs.\(name): \(count) x \(rounds) x \(draws) x \(dimension) is more than memory holds")
    return row
}

@c @implementation
public func fpo_simulation_destroy(_ simulation: OpaquePointer?) {
    Handle<Simulation>.destroy(simulation)
}

@c @implementation
public func fpo_simulation_records(
    _ simulation: OpaquePointer?, _ recordEvery: Int64, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let simulation = try Handle<Simulation>.peek(simulation, "simulation")
        let out = try unwrap(out, "out")
        out.pointee = Int64(simulation.records(every: try requirePeriod(recordEvery)))
    }
}

private func requirePeriod(_ recordEvery: Int64) throws(Failure) -> Int {
    try require(
        recordEvery >= 1 && recordEvery <= 1 << 40, FPO_ERR_DOMAIN,
        "record_every: \(recordEvery), but must be >= 1")
    return Int(recordEvery)
}

@c @implementation
public func fpo_simulation_step(
    _ simulation: OpaquePointer?, _ rounds: Int64, _ recordEvery: Int64,
    _ trace: UnsafePointer<fpo_trace>?, _ played: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        try require(rounds >= 0, FPO_ERR_DOMAIN, "rounds: \(rounds), but must be >= 0")
        let period = try requirePeriod(recordEvery)
        let c = try trace.map { pointer throws(Failure) in
            try read(pointer, over: fpo_trace(), "trace")
        }
        try require((c?.reserved ?? 0) == 0, FPO_ERR_DOMAIN, "trace.reserved: must be 0")
        try Handle<Simulation>.use(simulation, "simulation") { simulation throws(Failure) in
            let (count, completed) = simulation.step(
                Int(rounds), recordEvery: period, trace: c.map(Simulation.Trace.init))
            played?.pointee = Int64(count)
            try require(
                completed, FPO_ERR_CANCELLED, "cancelled after \(count) of \(rounds) rounds")
        }
    }
}

extension Simulation.Trace {
    /// The arrays in the order of `Metric.allCases`.
    init(_ c: fpo_trace) {
        self.init(
            metrics: Metric.allCases.map { metric in
                switch metric {
                case .utility: c.utility
                case .proxyReward: c.proxy_reward
                case .signal: c.signal
                case .noise: c.noise
                case .overconfidence: c.overconfidence
                case .slopeCosine: c.slope_cosine
                case .offPolicyError: c.off_policy_error
                case .sensitivity: c.sensitivity
                case .penalty: c.penalty
                }
            }, action: c.action)
    }
}

@c @implementation
public func fpo_simulation_cancel(_ simulation: OpaquePointer?) {
    _ = boundary { () throws(Failure) in
        try Handle<Simulation>.peek(simulation, "simulation").cancel()
    }
}

@c @implementation
public func fpo_simulation_round(
    _ simulation: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let simulation = try Handle<Simulation>.peek(simulation, "simulation")
        try unwrap(out, "out").pointee = Int64(simulation.round)
    }
}

@c @implementation
public func fpo_simulation_parameter_count(
    _ simulation: OpaquePointer?, _ out: UnsafeMutablePointer<Int64>?
) -> Int32 {
    boundary { () throws(Failure) in
        let simulation = try Handle<Simulation>.peek(simulation, "simulation")
        try unwrap(out, "out").pointee = Int64(simulation.parameterCount)
    }
}

@c @implementation
public func fpo_simulation_actions(
    _ simulation: OpaquePointer?, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let out = try unwrap(out, "out")
        try Handle<Simulation>.use(simulation, "simulation") { s throws(Failure) in s.actions(out) }
    }
}

@c @implementation
public func fpo_simulation_weights(
    _ simulation: OpaquePointer?, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let out = try unwrap(out, "out")
        try Handle<Simulation>.use(simulation, "simulation") { s throws(Failure) in s.weights(out) }
    }
}

// MARK: Saving

/// What stands before the numbers of a saved simulation.
private struct SavedHeader: BitwiseCopyable {
    static let magic: UInt64 = 0x3130_5F4F_5046_5F46  // "F_FPO_01"

    var magic = SavedHeader.magic
    var round: UInt64
    var count: UInt64
    var stateCount: UInt64
    /// Of environment, penalty and inputs.
    var fingerprint: UInt64
}

@c @implementation
public func fpo_simulation_save(
    _ simulation: OpaquePointer?, _ buffer: UnsafeMutableRawPointer?, _ capacity: Int,
    _ needed: UnsafeMutablePointer<Int>?
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<Simulation>.use(simulation, "simulation") { s throws(Failure) in
            let size = MemoryLayout<SavedHeader>.size + 8 * s.count * s.stateCount
            needed?.pointee = size
            guard let buffer else {
                try require(capacity == 0, FPO_ERR_NULL, "buffer: NULL")
                try require(needed != nil, FPO_ERR_NULL, "needed: NULL, and so is buffer")
                return
            }
            try require(
                capacity >= size, FPO_ERR_SHAPE,
                "capacity: \(UInt(bitPattern: capacity)) bytes, but \(size) are needed")
            let header = SavedHeader(
                round: UInt64(s.round), count: UInt64(s.count), stateCount: UInt64(s.stateCount),
                fingerprint: s.fingerprint)
            buffer.storeBytes(of: header, as: SavedHeader.self)
            s.state(buffer + MemoryLayout<SavedHeader>.size)
        }
    }
}

@c @implementation
public func fpo_simulation_load(
    _ simulation: OpaquePointer?, _ bytes: UnsafeRawPointer?, _ size: Int
) -> Int32 {
    boundary { () throws(Failure) in
        let bytes = try unwrap(bytes, "bytes")
        try Handle<Simulation>.use(simulation, "simulation") { s throws(Failure) in
            let head = MemoryLayout<SavedHeader>.size
            try require(
                size >= head, FPO_ERR_FORMAT, "bytes: \(size) of them are no saved simulation")
            let header = bytes.loadUnaligned(as: SavedHeader.self)
            try require(
                header.magic == SavedHeader.magic, FPO_ERR_FORMAT,
                "bytes: not a saved simulation of this version")
            try require(
                header.count == UInt64(s.count) && header.stateCount == UInt64(s.stateCount)
                    && header.fingerprint == s.fingerprint,
                FPO_ERR_FORMAT,
                "bytes: saved from another environment, penalty or inputs")
            try require(
                size == head + 8 * s.count * s.stateCount
                    && header.round <= UInt64(s.environment.rounds),
                FPO_ERR_FORMAT, "bytes: truncated or damaged")
            s.restore(bytes + head, round: Int(header.round))
        }
    }
}
