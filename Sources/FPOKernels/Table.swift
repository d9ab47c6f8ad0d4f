public import FPOKernelTypes

#if ELEMENT_F32
    public typealias Table = KernelTable<Float>
#else
    public typealias Table = KernelTable<Double>
#endif

/// The kernels of this module.
public let table = Table(
    lanes: Lanes.scalarCount,
    exp: { n, x, y in map(n, x, y) { exponentialWhole($0) } },
    log: { n, x, y in map(n, x, y) { logarithmWhole($0) } },
    tanh: { n, x, y in map(n, x, y) { hyperbolicTangent($0) } },
    sigmoid: { n, x, y in map(n, x, y) { sigmoidWhole($0) } },
    softplus: { n, x, y in map(n, x, y) { softplusWhole($0) } },
    dot: { dot($0, $1, $2) },
    differenceDot: { differenceDot($0, $1, $2, $3) },
    squaredDistance: { squaredDistance($0, $1, $2) },
    uniform: { uniform($0, $1, $2) },
    normal: { normal($0, $1, $2) })

/// The game kernels of this module.
public let games = GameKernels(
    lanes: Lanes.scalarCount,
    elementSize: MemoryLayout<Element>.size,
    stateVectors: {
        let game = Game($0, .unplaced)
        return game.narrowCount + game.wideCount
    },
    memoryVectors: { Game($0, .unplaced).totalCount },
    start: { plan, group, start, weights in Game(plan, group).begin(start, weights) },
    play: { plan, group, first, count, measurement in
        Game(plan, group).play(first, count, measurement)
    },
    measure: { plan, group, round, measurement in Game(plan, group).measure(round, measurement) },
    read: { plan, group, from, count, out in Game(plan, group).read(from, count, out) },
    write: { plan, group, from, count, values in Game(plan, group).write(from, count, values) })

#if ELEMENT_F64
    /// The kernels of a lone utility filter.
    public let filters = FilterKernels(
        lanes: Lanes.scalarCount,
        stateVectors: { LoneFilter.stateVectors(dimension: $0) },
        memoryVectors: { LoneFilter.memoryVectors(dimension: $0) },
        begin: { settings, memory, d, reference, level, slope in
            LoneFilter(memory, dimension: d).begin(settings, reference, level, slope)
        },
        move: { settings, memory, d, reference in
            LoneFilter(memory, dimension: d).move(settings, reference)
        },
        observe: { settings, memory, d, n, x, ldx, label in
            LoneFilter(memory, dimension: d).observe(settings, n, x, ldx, label)
        },
        estimate: { memory, d, n, x, ldx, utility, slope, lds in
            LoneFilter(memory, dimension: d).estimate(n, x, ldx, utility, slope, lds)
        })
#endif

extension Game {
    /// The initial state: everything zero but the actions and the weights.
    fileprivate func begin(_ start: UnsafePointer<Double>, _ weights: UnsafePointer<Double>) {
        fill(group.memory.assumingMemoryBound(to: Lanes.self), totalCount)
        for i in 0..<d { theta[i] = all(Element(start[i])) }
        for i in 0..<P {
            for lane in 0..<Lanes.scalarCount {
                theta[stateIndex(d &+ i)][lane] = Element(weights[lane &* P &+ i])
            }
        }
    }

    /// State numbers `from ..< from + count` as (lanes, count).
    fileprivate func read(_ from: Int, _ count: Int, _ out: UnsafeMutablePointer<Double>) {
        let narrow = group.memory.assumingMemoryBound(to: Lanes.self)
        for i in 0..<count {
            let at = stateIndex(from &+ i)
            for lane in 0..<Lanes.scalarCount {
                out[lane &* count &+ i] =
                    at < narrowCount
                    ? Double(narrow[at][lane]) : wideState[at &- narrowCount][lane]
            }
        }
    }

    fileprivate func write(_ from: Int, _ count: Int, _ values: UnsafePointer<Double>) {
        let narrow = group.memory.assumingMemoryBound(to: Lanes.self)
        for i in 0..<count {
            let at = stateIndex(from &+ i)
            for lane in 0..<Lanes.scalarCount {
                let value = values[lane &* count &+ i]
                if at < narrowCount {
                    narrow[at][lane] = Element(value)
                } else {
                    wideState[at &- narrowCount][lane] = value
                }
            }
        }
    }

    fileprivate func play(_ first: Int, _ count: Int, _ measurement: Measurement?) {
        for round in first..<first + count {
            updatePolicy(round)
            if let measurement, round == first + count - 1 { measure(round, measurement) }
            buyLabels(round)
            retrain(round)
        }
    }
}

extension GameGroup {
    /// Addresses for counting only.
    fileprivate static var unplaced: GameGroup {
        GameGroup(
            memory: UnsafeMutableRawPointer(bitPattern: 64)!,
            games: UnsafePointer(bitPattern: 64)!, keys: UnsafePointer(bitPattern: 64)!)
    }
}
