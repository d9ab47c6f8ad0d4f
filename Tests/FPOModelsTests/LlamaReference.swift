import FPOModels
import Foundation

/// The decoder in double precision, one sequence and one number at a time, written from the
/// papers' formulas: what the packed, threaded and fused code is held to.
struct LlamaReference {
    let c: LlamaConfiguration
    private var weights: [String: [[Double]]] = [:]
    /// The adapter's tensors by name, and what `B A` is multiplied by.
    var factors: [String: [[Double]]] = [:]
    var scale = 0.0

    init(_ example: LlamaExample) {
        c = example.model.configuration
        for (k, tensor) in example.model.tensors.enumerated() {
            weights[tensor.name] = (0..<tensor.rows).map { i in
                (0..<tensor.columns).map { j in Double(LlamaExample.weight(tensor, k, i, j)) }
            }
        }
    }

    mutating func adopt(_ adapter: LoRAAdapter, _ parameters: [Double]) {
        scale = adapter.configuration.alpha / Double(adapter.configuration.rank)
        for tensor in adapter.tensors {
            factors[tensor.name] = (0..<tensor.rows).map { i in
                (0..<tensor.columns).map { parameters[tensor.offset + i * tensor.columns + $0] }
            }
        }
    }

    /// `Σ cₜ log pₜ` over the sequences, with the coefficients of the tests.
    func objective(_ sequences: Sequences) -> Double {
        zip(coefficients(sequences.count), logProbabilities(sequences)).reduce(0) {
            $0 + $1.0 * $1.1
        }
    }

    func logProbabilities(_ sequences: Sequences) -> [Double] {
        (0..<sequences.batch.count).flatMap { i in
            logProbabilities(sequences.batch[i].map { Int(sequences.batch.tokens[$0]) })
        }
    }

    private func logProbabilities(_ tokens: [Int]) -> [Double] {
        let logits = logits(tokens)
        return tokens.indices.map { t in
            guard t > 0 else { return 0 }
            let row = logits[t - 1], top = row.max()!
            return row[tokens[t]] - top - log(row.reduce(0) { $0 + exp($1 - top) })
        }
    }

    func logits(_ tokens: [Int]) -> [[Double]] {
        var x = tokens.map { weights["model.embed_tokens.weight"]![$0] }
        for layer in 0..<c.layers {
            let name = "layers.\(layer)."
            let n = x.map { normed($0, name + "input_layernorm") }
            let q = n.map { project($0, name + "self_attn.q_proj") }
            let k = n.map { project($0, name + "self_attn.k_proj") }
            let v = n.map { project($0, name + "self_attn.v_proj") }
            let mixed = attention(
                q.enumerated().map { rotated($1, at: $0) },
                k.enumerated().map { rotated($1, at: $0) }, v)
            x = zip(x, mixed).map { sum($0, project($1, name + "self_attn.o_proj")) }
            x = x.map { x in
                let n = normed(x, name + "post_attention_layernorm")
                let gate = project(n, name + "mlp.gate_proj"), up = project(n, name + "mlp.up_proj")
                let product = zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }
                return sum(x, project(product, name + "mlp.down_proj"))
            }
        }
        let head = weights[c.tied ? "model.embed_tokens.weight" : "lm_head.weight"]!
        return x.map { x in
            let n = normed(x, "norm")
            return head.map { dot($0, n) }
        }
    }

    private func project(_ x: [Double], _ name: String) -> [Double] {
        var y = weights["model.\(name).weight"]!.map { dot($0, x) }
        if let bias = weights["model.\(name).bias"] { y = sum(y, bias.map { $0[0] }) }
        if let a = factors["\(name).lora_A.weight"], let b = factors["\(name).lora_B.weight"] {
            let u = a.map { dot($0, x) }
            y = sum(y, b.map { scale * dot($0, u) })
        }
        return y
    }

    private func normed(_ x: [Double], _ name: String) -> [Double] {
        let inverse = 1 / (dot(x, x) / Double(x.count) + Double(c.normEpsilon)).squareRoot()
        return zip(x, weights["model.\(name).weight"]!).map { $0 * inverse * $1[0] }
    }

    private func rotated(_ x: [Double], at position: Int) -> [Double] {
        let d = c.headDimension
        var y = x
        for head in 0..<x.count / d {
            for i in 0..<d / 2 {
                let angle = Double(position) * frequency(i)
                let (a, b) = (x[head * d + i], x[head * d + i + d / 2])
                y[head * d + i] = a * cos(angle) - b * sin(angle)
                y[head * d + i + d / 2] = b * cos(angle) + a * sin(angle)
            }
        }
        return y
    }

    private func frequency(_ i: Int) -> Double {
        let plain = pow(c.rotaryBase, -2 * Double(i) / Double(c.headDimension))
        switch c.rotaryScaling {
        case .none: return plain
        case .linear(let factor): return plain / factor
        case .llama3(let factor, let low, let high, let length):
            let wavelength = 2 * Double.pi / plain
            if wavelength > Double(length) / low { return plain / factor }
            if wavelength < Double(length) / high { return plain }
            let smooth = (Double(length) / wavelength - low) / (high - low)
            return (1 - smooth) * plain / factor + smooth * plain
        }
    }

    private func attention(
        _ q: [[Double]], _ k: [[Double]], _ v: [[Double]]
    ) -> [[Double]] {
        let d = c.headDimension, group = c.heads / c.keyValueHeads
        return q.indices.map { i in
            (0..<c.heads).flatMap { h -> [Double] in
                let key = h / group * d
                let scores = (0...i).map { j in
                    dot(Array(q[i][h * d..<(h + 1) * d]), Array(k[j][key..<key + d]))
                        / Double(d).squareRoot()
                }
                let top = scores.max()!
                let p = scores.map { exp($0 - top) }
                let total = p.reduce(0, +)
                return (0..<d).map { e in
                    (0...i).reduce(0) { $0 + p[$1] / total * v[$1][key + e] }
                }
            }
        }
    }

    private func dot(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
    }

    private func sum(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 + $1 } }
}
