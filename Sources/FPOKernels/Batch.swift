import FPOKernelTypes
import Glibc

/// Scratch of the passes over the label buffer: activations with the samples in a row, so that a
/// weight's gradient is a product of two contiguous streams.
struct Batch {
    let h, s, delta: LanePointer  // (units, capacity)
    let reward, weight: LanePointer  // (capacity)
    let scaled: LanePointer  // (units, capacity)

    init(capacity n: Int, dimension: Int, units: Int, _ take: (Int) -> LanePointer) {
        h = take(units * n)
        s = take(units * n)
        delta = take(units * n)
        scaled = take(units * n)
        reward = take(n)
        weight = take(n)
    }
}

extension Game {
    /// Samples of one pass that keep a layer's weights in the nearest cache.
    private var samplesPerBlock: Int { 10 }

    @inline(__always)
    private func input(of l: Int) -> LanePointer {
        l == 0 ? labels.actions : batch.h + unitOffset(l &- 1) &* labels.capacity
    }

    /// Rewards, activations and slopes of the first `count` labels.
    @inline(__always)
    func forwardBatch(_ count: Int) {
        let n = labels.capacity
        var from = 0
        while from < count {
            let to = min(from &+ samplesPerBlock, count)
            for l in 0..<H {
                let (w, b, O, I) = layer(l, in: parameters)
                let h = batch.h + unitOffset(l) &* n
                let s = batch.s + unitOffset(l) &* n
                forEachSample(
                    w, rowStep: I, columnStep: 1, O, I, input(of: l), stride: n, from: from, to: to
                ) { o, sample, z in
                    let (value, slope) = softplusAndSigmoid(z + b[o])
                    h[o &* n &+ sample] = value
                    s[o &* n &+ sample] = slope
                }
            }
            let (w, b, _, I) = layer(H, in: parameters)
            forEachSample(
                w, rowStep: I, columnStep: 1, 1, I, input(of: H), stride: n, from: from, to: to
            ) { _, sample, z in
                batch.reward[sample] = plan.bias ? z + b[0] : z
            }
            from = to
        }
    }

    /// `δ = ∂r/∂z` of every label, after `forwardBatch`.
    @inline(__always)
    func backwardBatch(_ count: Int) {
        guard H > 0 else { return }
        let n = labels.capacity
        let (last, _, _, _) = layer(H, in: parameters)
        let top = unitOffset(H &- 1)
        for o in 0..<plan.widths[H] {
            let row = (top &+ o) &* n
            for sample in 0..<count { batch.delta[row &+ sample] = last[o] * batch.s[row &+ sample] }
        }
        var l = H &- 1
        while l > 0 {
            let (w, _, O, I) = layer(l, in: parameters)
            let below = unitOffset(l &- 1) &* n
            var from = 0
            while from < count {
                let to = min(from &+ samplesPerBlock, count)
                forEachSample(
                    w, rowStep: 1, columnStep: I, I, O, batch.delta + unitOffset(l) &* n, stride: n,
                    from: from, to: to
                ) { i, sample, e in
                    let at = below &+ i &* n &+ sample
                    batch.delta[at] = e * batch.s[at]
                }
                from = to
            }
            l &-= 1
        }
    }

    /// `out ← Σₛ weight[s] ∇ᵩ r(yₛ)`, after `backwardBatch`.
    @inline(__always)
    func weightedGradient(_ out: LanePointer, _ count: Int) {
        let n = labels.capacity
        for l in 0..<H {
            let (dw, db, O, I) = layer(l, in: out)
            let delta = batch.delta + unitOffset(l) &* n
            for o in 0..<O {
                var sum = Lanes.zero
                for s in 0..<count {
                    let value = delta[o &* n &+ s] * batch.weight[s]
                    batch.scaled[o &* n &+ s] = value
                    sum += value
                }
                db[o] = sum
            }
            sampleProducts(dw, O, I, batch.scaled, input(of: l), stride: n, count: count)
        }
        let (dw, db, _, I) = layer(H, in: out)
        sampleProducts(dw, 1, I, batch.weight, input(of: H), stride: n, count: count)
        if plan.bias {
            var sum = Lanes.zero
            for s in 0..<count { sum += batch.weight[s] }
            db[0] = sum
        }
    }

    // MARK: Retraining

    /// One optimiser step on the mean squared error over `count` labels; `step` counts from 1.
    @inline(__always)
    func trainStep(_ count: Int, step: Int) {
        forwardBatch(count)
        let scale = all(2 / Element(count))
        for s in 0..<count { batch.weight[s] = (batch.reward[s] - labels.values[s]) * scale }
        backwardBatch(count)
        weightedGradient(gradient, count)
        let rate = plan.rewardRate
        let decay = Element(plan.weightDecay)
        switch plan.optimizer {
        case .sgd:
            let keep = 1 - decay
            for i in 0..<P {
                parameters[i] = fma(gradient[i], all(Element(-rate)), parameters[i] * keep)
            }
        case .adam:
            adamStep(step: step, rate: rate) { fma(all(decay), $1, $0) } shrink: { $0 }
        case .adamW:
            let keep = Element(1 - rate * plan.weightDecay)
            adamStep(step: step, rate: rate) { g, _ in g } shrink: { $0 * keep }
        }
    }

    /// Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1), ε added to the corrected root.
    @inline(__always)
    private func adamStep(
        step: Int, rate: Double, decayed: (Lanes, Lanes) -> Lanes, shrink: (Lanes) -> Lanes
    ) {
        let beta1 = 0.9, beta2 = 0.999
        let rate1 = all(Element(-rate / (1 - pow(beta1, Double(step)))))
        let root2 = all(Element(1 / (1 - pow(beta2, Double(step))).squareRoot()))
        for i in 0..<P {
            let p = parameters[i]
            let g = decayed(gradient[i], p)
            let m = fma(all(Element(1 - beta1)), g, moment1[i] * Element(beta1))
            let v = fma(all(Element(1 - beta2)), g * g, moment2[i] * Element(beta2))
            moment1[i] = m
            moment2[i] = v
            let denominator = fma(squareRoot(v), root2, all(1e-8))
            parameters[i] = fma(rate1, m / denominator, shrink(p))
        }
    }
}
