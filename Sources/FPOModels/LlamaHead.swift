import FPOLayers
import FPONumerics

/// Rows of hidden states whose next-token distributions are wanted, and the tokens that came.
struct HeadRows {
    /// Rows of the hidden states.
    var rows: [Int] = []
    /// The token that follows each.
    var targets: [Int32] = []
    /// Where in the batch that token stands.
    var places: [Int] = []

    var count: Int { rows.count }

    init() {}

    /// All tokens of a chunk with something before them, for which `isWanted` holds at their place
    /// in the batch.
    init(_ chunk: TokenChunk, base: Int, isWanted: (Int) -> Bool) {
        for s in 0..<chunk.sequenceCount {
            for row in chunk[s].dropLast() where isWanted(base + row + 1) {
                rows.append(row)
                targets.append(chunk.tokens[row + 1])
                places.append(base + row + 1)
            }
        }
    }
}

/// What is asked about the token that came.
struct TokenScores {
    var logP: UnsafeMutablePointer<Double>?
    var entropy: UnsafeMutablePointer<Double>?
    var greedy: UnsafeMutablePointer<Int32>?
}

/// Blocks of rows through the final norm and the head. The logits of a block stay in the cache
/// until they have been used; those of a batch never exist together.
struct LlamaHead {
    /// Floats of one block's logits.
    private static let blockSize = 1 << 22

    private let x, scale, normed, dx: Matrix<Float>
    private let logits, states: Matrix<Float>
    /// One for each row of a block.
    private let targets, greatest: UnsafeMutablePointer<Int32>
    private let logP, logSumExp, entropy, coefficients: UnsafeMutablePointer<Float>

    /// Room for blocks of up to `rows` rows.
    init(_ rows: Int, _ c: LlamaConfiguration, _ layout: inout Workspace.Layout) {
        let rows = max(1, min(rows, max(8, Self.blockSize / c.vocabulary)))
        x = layout.matrix(rows, c.hidden)
        scale = layout.matrix(rows, 1)
        normed = layout.matrix(rows, c.hidden)
        dx = layout.matrix(rows, c.hidden)
        logits = layout.matrix(rows, c.vocabulary)
        states = layout.matrix(rows, CrossEntropy.stateColumns)
        targets = layout.array(of: Int32.self, rows)
        greatest = layout.array(of: Int32.self, rows)
        logP = layout.matrix(rows, 1).base
        logSumExp = layout.matrix(rows, 1).base
        entropy = layout.matrix(rows, 1).base
        coefficients = layout.matrix(rows, 1).base
    }

    /// Calls `body` with each block: the numbers of its rows, and their logits.
    func logits(
        _ model: LlamaModel, of hidden: Matrix<Float>, rows: [Int],
        _ body: (Range<Int>, Matrix<Float>) -> Void
    ) {
        let width = hidden.columns
        for first in stride(from: 0, to: rows.count, by: logits.rows) {
            let range = first..<min(first + logits.rows, rows.count)
            for (i, row) in rows[range].enumerated() {
                (x.base + i * width).update(from: hidden.base + row * width, count: width)
            }
            let block = logits.rows(in: 0..<range.count), normed = normed.rows(in: 0..<range.count)
            RMSNorm.forward(
                normed, x: x.rows(in: 0..<range.count), weight: model.finalNorm,
                epsilon: model.configuration.normEpsilon, scale: scale)
            model.head.multiply(block, x: normed)
            body(range, block)
        }
    }

    /// Writes what is asked about the tokens at their places.
    func score(
        _ model: LlamaModel, _ hidden: Matrix<Float>, _ wanted: HeadRows, _ out: TokenScores
    ) {
        logits(model, of: hidden, rows: wanted.rows) { score($0, $1, wanted, out) }
    }

    private func score(
        _ range: Range<Int>, _ logits: Matrix<Float>, _ wanted: HeadRows, _ out: TokenScores
    ) {
        let states = states.rows(in: 0..<range.count)
        for (i, number) in range.enumerated() { targets[i] = wanted.targets[number] }
        CrossEntropy.begin(states)
        CrossEntropy.accumulate(states, logits: logits, firstToken: 0, targets: targets)
        CrossEntropy.finish(
            states, logProbability: logP, logSumExp: logSumExp, entropy: entropy,
            greatest: greatest)
        for (i, number) in range.enumerated() {
            let place = wanted.places[number]
            out.logP?[place] = Double(logP[i])
            out.entropy?[place] = Double(entropy[i])
            out.greedy?[place] = greatest[i] == targets[i] ? 1 : 0
        }
    }

    /// The same, and adds `scale Σ cᵢ ∂ log pᵢ / ∂hidden` to `dHidden`, where `c` stands at the
    /// tokens' places.
    func backward(
        _ model: LlamaModel, dHidden: Matrix<Float>, _ hidden: Matrix<Float>, _ wanted: HeadRows,
        coefficients c: UnsafePointer<Double>, scale factor: Double, _ out: TokenScores
    ) {
        let width = hidden.columns
        logits(model, of: hidden, rows: wanted.rows) { range, logits in
            score(range, logits, wanted, out)
            for (i, number) in range.enumerated() {
                coefficients[i] = Float(-factor * c[wanted.places[number]])
            }
            CrossEntropy.gradient(
                logits, firstToken: 0, targets: targets, logSumExp: logSumExp,
                coefficients: coefficients)
            let dNormed = normed.rows(in: 0..<range.count), dx = dx.rows(in: 0..<range.count)
            model.head.multiplyTransposed(dNormed, dy: logits)
            dx.fill(0)
            RMSNorm.backward(
                dx: dx, dWeight: nil, dy: dNormed, x: x.rows(in: 0..<range.count),
                weight: model.finalNorm, scale: scale)
            for (i, number) in range.enumerated() {
                addProduct(
                    width, 1, dx.base + i * width,
                    to: dHidden.base + wanted.rows[number] * width)
            }
        }
    }
}
