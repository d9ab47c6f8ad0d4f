public import FPONumerics

/// `Σᵢ aᵢ bᵢ` for sizes that a caller chose: `Int.max`, which no arena has, on overflow.
func elements(_ products: (Int, Int)...) -> Int {
    var total = 0
    for (a, b) in products {
        let (product, overflowed) = a.multipliedReportingOverflow(by: b)
        let (sum, overflow) = total.addingReportingOverflow(product)
        if overflowed || overflow { return .max }
        total = sum
    }
    return total
}

// The verbs of a model over any number of rows. Batches are small enough to stay in the cache, so
// that memory does not grow with the rows; sums over rows run in their order.
extension RewardModel {
    /// Calls `body` with the tapes of one batch after the other: of `actions`, and of `reference`
    /// where there is one. `scratch` is what `body` takes from the arena for each row, `whole` what
    /// it takes once.
    func forEachBatch(
        _ actions: Rows<Element>, _ reference: Rows<Element>? = nil, backward: Bool,
        parameters: Matrix<Element>, scratch: Int = 0,
        _ body: (Range<Int>, Tape, Tape?, inout Arena<Element>) -> Void
    ) throws(NumericsError) {
        guard actions.count > 0 else { return }
        let tapes = reference == nil ? 1 : 2
        let perRow = elements((tapes, dimension), (tapes, tapeCount), (1, scratch))
        let size = min(actions.count, max(1, min(64, (1 << 17) / perRow)))
        var arena = try Arena<Element>(capacity: elements((size, perRow)))
        var first = 0
        while first < actions.count {
            let range = first..<min(first + size, actions.count)
            arena.scope { arena in
                let tape = self.tape(
                    actions, range, backward: backward, parameters: parameters, arena: &arena)
                let other: Tape? =
                    if let reference {
                        self.tape(
                            reference, range, backward: backward, parameters: parameters,
                            arena: &arena)
                    } else { nil }
                body(range, tape, other, &arena)
            }
            first = range.upperBound
        }
    }

    func tape(
        _ actions: Rows<Element>, _ range: Range<Int>, backward: Bool,
        parameters: Matrix<Element>, arena: inout Arena<Element>
    ) -> Tape {
        let input = actions.matrix(range, arena: &arena)
        let tape = forward(input, parameters: parameters, arena: &arena)
        if backward { self.backward(tape, parameters: parameters) }
        return tape
    }

    /// `rewardᵢ ← r(yᵢ)`
    public func rewards(
        _ out: UnsafeMutablePointer<Element>, of actions: Rows<Element>,
        parameters: Matrix<Element>
    ) throws(NumericsError) {
        try forEachBatch(actions, backward: false, parameters: parameters) { range, tape, _, _ in
            (out + range.lowerBound).update(from: reward(tape).base, count: range.count)
        }
    }

    /// `gᵢ ← ∇ᵩ r(yᵢ)`, a row of `p` for each action.
    public func gradients(
        _ out: MutableRows<Element>, of actions: Rows<Element>, parameters: Matrix<Element>
    ) throws(NumericsError) {
        try forEachBatch(actions, backward: true, parameters: parameters) { range, tape, _, _ in
            for (row, i) in range.enumerated() {
                out[i].fill(0)
                gradient(dParameters: out[i], row: row, tape: tape)
            }
        }
    }

    /// `gramᵢⱼ ← ⟨g(aᵢ), g(bⱼ)⟩`, with no gradient formed.
    public func gram(
        _ out: MutableRows<Element>, of a: Rows<Element>, and b: Rows<Element>,
        parameters: Matrix<Element>
    ) throws(NumericsError) {
        guard b.count > 0 else { return }
        let needed = elements((b.count, dimension), (b.count, tapeCount))
        var arena = try Arena<Element>(capacity: needed)
        let others = tape(b, 0..<b.count, backward: true, parameters: parameters, arena: &arena)
        try forEachBatch(a, backward: true, parameters: parameters, scratch: b.count) {
            range, tape, _, arena in
            let block = arena.matrix(range.count, b.count)
            gradientGram(block, scale: 1, tape, others)
            for (row, i) in range.enumerated() {
                out[i].base.update(from: block.row(row).base, count: b.count)
            }
        }
    }

    /// The mean loss over the labelled actions, and its gradient added to `dParameters`.
    ///
    ///     squared error             (r − u)²
    ///     Bradley-Terry, Δ = r − r₀   −u log σ(Δ) − (1 − u) log (1 − σ(Δ))
    ///
    /// The latter where there is a reference, with a soft label `u` in `[0, 1]`.
    public func meanLoss(
        dParameters: Matrix<Element>?, _ actions: Rows<Element>, reference: Rows<Element>?,
        labels: UnsafePointer<Element>, parameters: Matrix<Element>
    ) throws(NumericsError) -> Element {
        let share = 1 / Element(actions.count)
        var loss: Element = 0
        try forEachBatch(
            actions, reference, backward: dParameters != nil, parameters: parameters, scratch: 1
        ) { range, tape, other, arena in
            let scale = arena.matrix(range.count, 1)
            for (row, i) in range.enumerated() {
                let r = reward(tape)[row, 0], label = labels[i]
                if let other {
                    let margin = r - reward(other)[row, 0]
                    loss += label * softplus(-margin) + (1 - label) * softplus(margin)
                    scale[row, 0] = share * (sigmoid(margin) - label)
                } else {
                    loss += (r - label) * (r - label)
                    scale[row, 0] = share * 2 * (r - label)
                }
            }
            guard let dParameters else { return }
            gradient(dParameters: dParameters, scale: scale, tape: tape)
            if let other {
                for row in 0..<range.count { scale[row, 0].negate() }
                gradient(dParameters: dParameters, scale: scale, tape: other)
            }
        }
        return share * loss
    }
}

extension SmoothRewardModel {
    /// `slopeᵢ ← ∇ᵧ r(yᵢ)`, a row of `d` for each action.
    public func slopes(
        _ out: MutableRows<Element>, of actions: Rows<Element>, parameters: Matrix<Element>
    ) throws(NumericsError) {
        try forEachBatch(
            actions, backward: true, parameters: parameters, scratch: dimension
        ) { range, tape, _, arena in
            let block = arena.matrix(range.count, dimension)
            slope(dInput: block, tape: tape, parameters: parameters)
            for (row, i) in range.enumerated() {
                out[i].base.update(from: block.row(row).base, count: dimension)
            }
        }
    }
}

extension Rows where Element: Scalar {
    /// All rows of a matrix.
    public init(_ matrix: Matrix<Element>) {
        self.init(
            base: matrix.base, count: matrix.rows, columns: matrix.columns,
            leadingDimension: matrix.columns)
    }

    /// The rows of `range`, packed into a matrix.
    func matrix(_ range: Range<Int>, arena: inout Arena<Element>) -> Matrix<Element> {
        let packed = arena.matrix(range.count, columns)
        for (row, i) in range.enumerated() {
            packed.row(row).base.update(from: self[i], count: columns)
        }
        return packed
    }
}

/// Where rows go, `leadingDimension` elements apart.
public struct MutableRows<Element: Scalar> {
    public let base: UnsafeMutablePointer<Element>
    public let columns, leadingDimension: Int

    public init(base: UnsafeMutablePointer<Element>, columns: Int, leadingDimension: Int) {
        self.base = base
        self.columns = columns
        self.leadingDimension = leadingDimension
    }

    /// All rows of a matrix.
    public init(_ matrix: Matrix<Element>) {
        self.init(base: matrix.base, columns: matrix.columns, leadingDimension: matrix.columns)
    }

    subscript(i: Int) -> Matrix<Element> {
        Matrix(base: base + i * leadingDimension, rows: 1, columns: columns)
    }
}
