import FPOKernelTypes

/// The memory of one group of games, by name. One vector holds the same number of each game.
///
/// The state comes first; whatever follows it is scratch that a round fills anew.
struct Game {
    let plan: GamePlan
    let group: GameGroup
    let d: Int
    let H: Int  // hidden layers
    let P: Int  // parameters of the reward model
    let units: Int  // hidden units of all layers

    // State.
    let theta, parameters, moment1, moment2: LanePointer
    let labels: LabelBuffer  // of the reward model
    let estimatorLabels: LabelBuffer  // of the residual penalty; the same one if sizes agree
    let filter: UtilityFilter

    // Scratch of a round.
    let estimator: Estimator
    let draws: LanePointer  // normals of a round
    let gradient: LanePointer  // (P)
    let direction: LanePointer  // (P), w of the exact penalty
    let batch: Batch
    let gram: LanePointer  // (n, n), n = labelBuffer
    let gramProducts: LanePointer  // (n, n)

    let estimatorScratch, estimatorNormal: LanePointer  // (d, capacity), (d, d)

    // Scratch of one action.
    let point: Point

    /// Vectors of the state: in lanes, and wide ones behind them.
    let narrowCount, wideCount: Int
    let wideState: WidePointer
    let totalCount: Int

    init(_ plan: GamePlan, _ group: GameGroup) {
        self.plan = plan
        self.group = group
        let d = plan.dimension
        let H = plan.hiddenCount
        let P = plan.parameterCount
        var units = 0
        for l in 0..<H { units += plan.widths[l + 1] }
        (self.d, self.H, self.P, self.units) = (d, H, P, units)

        var next = group.memory.assumingMemoryBound(to: Lanes.self)
        let origin = next
        func take(_ count: Int) -> LanePointer {
            defer { next += count }
            return next
        }
        theta = take(d)
        parameters = take(P)
        let adaptive = plan.optimizer != .sgd
        moment1 = take(adaptive ? P : 0)
        moment2 = take(adaptive ? P : 0)
        let n = plan.labelBuffer
        labels = LabelBuffer(capacity: n, actions: take(d * n), values: take(n))
        let residual = plan.overconfidence == .estimate
        let ridge = residual && plan.estimator == .ridge
        let filtered = residual && plan.estimator == .kalman
        if ridge && plan.estimatorBuffer != n {
            let m = plan.estimatorBuffer
            estimatorLabels = LabelBuffer(capacity: m, actions: take(d * m), values: take(m))
        } else {
            estimatorLabels = labels
        }
        narrowCount = next - origin
        // Wide numbers are aligned to whole lines of the cache.
        while UInt(bitPattern: next) % 64 != 0 { next += 1 }
        let lanesPerWide = MemoryLayout<Wide>.stride / MemoryLayout<Lanes>.stride
        func takeWide(_ count: Int) -> WidePointer {
            UnsafeMutableRawPointer(take(count * lanesPerWide)).assumingMemoryBound(to: Wide.self)
        }
        wideCount = filtered ? UtilityFilter.stateCount(dimension: d) : 0
        wideState = takeWide(wideCount)
        filter = UtilityFilter(
            dimension: d, state: wideState,
            scratch: takeWide(filtered ? UtilityFilter.scratchCount(dimension: d) : 0))

        estimator = Estimator(dimension: residual ? d : 0, take)
        let drawn = max(plan.innerSteps, plan.labelsPerRound, probeCount) * d
        draws = take(drawn + plan.labelsPerRound + 4)
        gradient = take(P)
        let exact = plan.alignment == .direction || plan.alignment == .inverseNorm
        direction = take(exact ? P : 0)
        batch = Batch(capacity: n, units: units, take)
        gram = take(exact ? n * n : 0)
        gramProducts = take(exact ? n * n : 0)
        estimatorScratch = take(ridge ? d * estimatorLabels.capacity : 0)
        estimatorNormal = take(ridge ? d * d : 0)
        point = Point(dimension: d, units: units, take)
        totalCount = next - origin
    }

    /// Weight (O, I), in blocks, and bias of layer `l`, counted from 0 to `H`, the output layer.
    @inline(__always)
    func layer(
        _ l: Int, in p: LanePointer
    ) -> (weight: LanePointer, bias: LanePointer, O: Int, I: Int) {
        var offset = 0
        for k in 0..<l { offset &+= plan.widths[k &+ 1] &* (plan.widths[k] &+ 1) }
        let I = plan.widths[l]
        let O = l == H ? 1 : plan.widths[l &+ 1]
        return (p + offset, p + (offset &+ O &* I), O, I)
    }

    /// Where in the state number `i` of a saved one lies: there weights have their rows one after
    /// the other.
    func stateIndex(_ i: Int) -> Int {
        let copies = plan.optimizer == .sgd ? 1 : 3  // parameters and moments
        guard d <= i, i < d &+ copies &* P else { return i }
        let copy = d &+ (i &- d) / P &* P
        var at = i &- copy, offset = 0
        for l in 0..<H {
            let (_, _, O, I) = layer(l, in: parameters)
            if at < O &* I { return copy &+ offset &+ place(at / I, at % I, O, I) }
            offset &+= O &* (I &+ 1)
            at &-= O &* (I &+ 1)
            if at < 0 { break }
        }
        return i
    }

    /// Hidden units before layer `l`'s outputs.
    @inline(__always)
    func unitOffset(_ l: Int) -> Int {
        var offset = 0
        for k in 0..<l { offset &+= plan.widths[k &+ 1] }
        return offset
    }

    /// 1 if the output layer has a bias, else 0.
    @inline(__always)
    var outputBias: Element { plan.bias ? 1 : 0 }
}

/// The last `capacity` labels: actions (d, capacity), labels (capacity), written in a circle.
struct LabelBuffer {
    let capacity: Int
    let actions, values: LanePointer

    /// How many labels it holds after `rounds` rounds of `each` labels.
    @inline(__always)
    func count(after rounds: Int, each: Int) -> Int { min(rounds &* each, capacity) }
}

/// Scratch of one action `y`: its activations and what the passes after them need.
struct Point {
    let y: LanePointer  // (d)
    let h, s, delta, e, gz: LanePointer  // (units): activation, slope, ∂r/∂z, ∂r/∂h, ∂A/∂z
    let g, zDot: LanePointer  // (units)
    let slope, out: LanePointer  // (d)

    init(dimension d: Int, units: Int, _ take: (Int) -> LanePointer) {
        y = take(d)
        h = take(units)
        s = take(units)
        delta = take(units)
        e = take(units)
        gz = take(units)
        g = take(units)
        zDot = take(units)
        slope = take(d)
        out = take(d)
    }
}
