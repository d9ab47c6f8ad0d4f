import Foundation

/// Layers in double, as their formulas say, to compare the kernels with. All matrices row-major.
enum LayerReference {
    public static func rmsNorm(
        _ x: [Double], rows: Int, weight: [Double], epsilon: Double
    ) -> [Double] {
        eachRow(x, rows) { row in
            let mean = row.reduce(0) { $0 + $1 * $1 } / Double(row.count)
            return zip(row, weight).map { $0 * $1 / (mean + epsilon).squareRoot() }
        }
    }

    public static func layerNorm(
        _ x: [Double], rows: Int, weight: [Double], bias: [Double], epsilon: Double
    ) -> [Double] {
        eachRow(x, rows) { row in
            let mean = row.reduce(0, +) / Double(row.count)
            let centred = row.map { $0 - mean }
            let normed = rmsNorm(centred, rows: 1, weight: weight, epsilon: epsilon)
            return zip(normed, bias).map(+)
        }
    }

    public static func swiglu(gate: [Double], up: [Double]) -> [Double] {
        zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }
    }

    public static func gelu(_ x: [Double], exact: Bool) -> [Double] {
        x.map { x in
            exact
                ? x * erfc(-x * 0.5.squareRoot()) / 2
                : x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        }
    }

    /// One sequence: `q (rows, heads · dimension)`, `k` and `v (rows, groups · dimension)`.
    public static func attention(
        q: [Double], k: [Double], v: [Double], rows: Int, heads: Int, groups: Int, dimension: Int,
        causal: Bool
    ) -> [Double] {
        var out = [Double](repeating: 0, count: q.count)
        for h in 0..<heads {
            let g = h / (heads / groups)
            for i in 0..<rows {
                let queryAt = (i * heads + h) * dimension
                let weights = (0..<(causal ? i + 1 : rows)).map { j in
                    let keyAt = (j * groups + g) * dimension
                    var score = 0.0
                    for d in 0..<dimension { score += q[queryAt + d] * k[keyAt + d] }
                    return exp(score / Double(dimension).squareRoot())
                }
                let total = weights.reduce(0, +)
                for (j, weight) in weights.enumerated() {
                    for d in 0..<dimension {
                        out[queryAt + d] += weight / total * v[(j * groups + g) * dimension + d]
                    }
                }
            }
        }
        return out
    }

    /// The log-probability of each row's target.
    public static func logProbability(_ logits: [Double], targets: [Int]) -> [Double] {
        let width = logits.count / targets.count
        return targets.enumerated().map { i, target in
            let row = logits[i * width..<(i + 1) * width]
            let top = row.max()!
            let total = row.reduce(0) { $0 + exp($1 - top) }
            return row[i * width + target] - top - log(total)
        }
    }

    private static func eachRow(
        _ x: [Double], _ rows: Int, _ body: ([Double]) -> [Double]
    ) -> [Double] {
        let width = x.count / rows
        return (0..<rows).flatMap { body(Array(x[$0 * width..<($0 + 1) * width])) }
    }
}
