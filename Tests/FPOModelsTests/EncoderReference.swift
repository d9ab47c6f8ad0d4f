import FPOModels
import FPONumerics
import FPOTestSupport

/// The scores of a text reward in double, by plain loops, from its flat vector: an oracle that
/// shares no code with the library. All parameters are trained, the head is linear, the pooler the
/// mean; BERT, or DeBERTa with shared keys, buckets and a norm of the relative embeddings.
struct EncoderReference {
    let configuration: EncoderConfiguration
    let parameters: [Tensor]
    let values: UnsafeMutablePointer<Double>

    typealias Rows = [[Double]]

    private func tensor(_ name: String) -> Rows {
        let t = parameters.first { $0.name == name }!
        return (0..<t.rows).map { i in
            (0..<t.columns).map { values[t.offset + i * t.columns + $0] }
        }
    }

    private func vector(_ name: String) -> [Double] { tensor(name).map { $0[0] } }

    private func linear(_ x: Rows, _ name: String) -> Rows {
        let w = tensor(name + ".weight"), b = vector(name + ".bias")
        return x.map { x in zip(w, b).map { w, b in zip(w, x).reduce(b) { $0 + $1.0 * $1.1 } } }
    }

    private func norm(_ x: Rows, _ name: String) -> Rows {
        let w = vector(name + ".weight"), b = vector(name + ".bias")
        return x.map { x in
            let mean = x.reduce(0, +) / Double(x.count)
            let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
            return x.indices.map {
                (x[$0] - mean) / (variance + configuration.epsilon).squareRoot() * w[$0] + b[$0]
            }
        }
    }

    private func add(_ a: Rows, _ b: Rows) -> Rows { zip(a, b).map { zip($0, $1).map(+) } }

    /// Abramowitz and Stegun have too few digits: the series of erf.
    private func gelu(_ x: Double) -> Double {
        var term = x / 2.0.squareRoot(), sum = term, z = term * term
        z = -z
        for k in 1..<60 {
            term *= z / Double(k)
            sum += term / Double(2 * k + 1)
        }
        return x * (0.5 + sum / Double.pi.squareRoot())
    }

    private var isDeBERTa: Bool { configuration.family == .debertaV2 }

    func score(_ tokens: [Int32]) -> Double {
        let c = configuration
        let words = tensor("embeddings.word_embeddings.weight")
        var x = tokens.map { words[Int($0)] }
        if !isDeBERTa {
            let positions = tensor("embeddings.position_embeddings.weight")
            let type = tensor("embeddings.token_type_embeddings.weight")[0]
            x = x.indices.map { t in zip(zip(x[t], positions[t]), type).map { $0.0 + $0.1 + $1 } }
        }
        x = norm(x, "embeddings.LayerNorm")
        for k in 0..<c.blocks {
            let name = "encoder.layer.\(k)"
            let context = attention(x, name + ".attention.self.")
            let attended = linear(context, name + ".attention.output.dense")
            x = norm(add(attended, x), name + ".attention.output.LayerNorm")
            let wide = linear(x, name + ".intermediate.dense").map { $0.map(gelu) }
            x = norm(add(linear(wide, name + ".output.dense"), x), name + ".output.LayerNorm")
        }
        let head = tensor("head.weight")[0]
        let sum = x.reduce(0) { total, row in zip(row, head).reduce(total) { $0 + $1.0 * $1.1 } }
        return sum / Double(x.count) + tensor("head.bias")[0][0]
    }

    private func attention(_ x: Rows, _ name: String) -> Rows {
        let c = configuration, width = c.hidden / c.heads, suffix = isDeBERTa ? "_proj" : ""
        let q = linear(x, name + "query" + suffix), k = linear(x, name + "key" + suffix)
        let v = linear(x, name + "value" + suffix)
        var toPosition: Rows = [], fromPosition: Rows = []
        if isDeBERTa {
            let relative = norm(tensor("encoder.rel_embeddings.weight"), "encoder.LayerNorm")
            toPosition = linear(relative, name + "key_proj")
            fromPosition = linear(relative, name + "query_proj")
        }
        let scale = 1 / (Double(width) * (isDeBERTa ? 3 : 1)).squareRoot()
        var out = Rows(repeating: Array(repeating: 0, count: c.hidden), count: x.count)
        for head in 0..<c.heads {
            let columns = head * width..<(head + 1) * width
            func dot(_ a: [Double], _ b: [Double]) -> Double {
                columns.reduce(0) { $0 + a[$1] * b[$1] }
            }
            for i in x.indices {
                var scores = x.indices.map { j in
                    var sum = dot(q[i], k[j])
                    if isDeBERTa {
                        let row = bucket(i - j)
                        sum += dot(q[i], toPosition[row]) + dot(k[j], fromPosition[row])
                    }
                    return sum * scale
                }
                let top = scores.max()!
                scores = scores.map { Double.exp($0 - top) }
                let sum = scores.reduce(0, +)
                for d in columns {
                    out[i][d] = x.indices.reduce(0) { $0 + scores[$1] / sum * v[$1][d] }
                }
            }
        }
        return out
    }

    /// Texts here are short: no distance beyond the linear buckets, but for the cut.
    private func bucket(_ distance: Int) -> Int {
        min(max(distance + configuration.positionBuckets, 0), 2 * configuration.positionBuckets - 1)
    }
}

/// A small encoder with random weights, and texts for it.
struct EncoderExample {
    let encoder: TextEncoder
    let tokens: [Int32] = [1, 7, 3, 2, 1, 4, 1, 2, 9]
    let offsets = [0, 4, 6, 9]

    static var bert: EncoderConfiguration {
        var c = EncoderConfiguration()
        c.vocabulary = 11
        c.hidden = 8
        c.intermediate = 12
        c.blocks = 2
        c.heads = 2
        c.positions = 16
        return c
    }

    static var deberta: EncoderConfiguration {
        var c = bert
        c.family = .debertaV2
        c.types = 0
        c.positionBuckets = 8
        c.pooler = true
        return c
    }

    init(
        _ configuration: EncoderConfiguration, storage: PackedMatrix.Storage = .float32
    ) throws {
        encoder = try TextEncoder(configuration, storage: storage)
        var rng = SplitMix64(seed: 5)
        for (index, tensor) in encoder.tensors.enumerated() {
            let isNorm = tensor.name.contains("LayerNorm.weight")
            let values = (0..<tensor.count).map { _ in
                Float.random(in: -0.6...0.6, using: &rng) + (isNorm ? 1 : 0)
            }
            values.withUnsafeBufferPointer {
                encoder.load(
                    index, first: 0,
                    Rows(
                        base: $0.baseAddress!, count: tensor.rows, columns: tensor.columns,
                        leadingDimension: tensor.columns))
            }
        }
        encoder.finish()
    }

    /// Calls `body` with the texts.
    func withBatch<Result>(_ body: (TextBatch) throws -> Result) rethrows -> Result {
        try tokens.withUnsafeBufferPointer {
            try body(TextBatch(tokens: $0.baseAddress!, types: nil, offsets: offsets))
        }
    }

    func text(_ i: Int) -> [Int32] { Array(tokens[offsets[i]..<offsets[i + 1]]) }

    func reward(
        _ trainable: Trainable, pooler: Pooler = .mean, head: RewardHead = RewardHead()
    ) throws -> TextReward {
        try TextReward(
            encoder, pooler: pooler, head: head, trainable: trainable, key: RandomKey(seed: 3),
            headScale: 0.5)
    }
}
