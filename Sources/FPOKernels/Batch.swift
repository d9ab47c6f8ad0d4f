import FPOKernelTypes
import Glibc

/// Scratch of the passes over the label buffer: activations with the samples in a row, so that a
/// weight's gradient is a product of two contiguous streams.
struct Batch {
    let h, s, delta: LanePointer  // (units, capacity)
    let reward, weight: LanePointer  // (capacity)
    let scaled: LanePointer  // (units, capacity)
    let transposed: LanePointer  // the largest hidden layer's weight, (I, O)

    init(capacity n: Int, units: Int, largestWeight: Int, _ take: (Int) -> LanePointer) {
        h = take(units * n)
        s = take(units * n)
        delta = take(units * n)
        scaled = take(units * n)
        reward = take(n)
        weight = take(n)
        transposed = take(largestWeight)
    }
}

extension Game {
    /// Samples of one pass that keep a layer's weights in the nearest cache.
    private var samplesPerBlock: Int { 12 }

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
                ) { o, sample, z in h[o &* n &+ sample] = z }
                for o in 0..<O {
                    let row = o &* n &+ from
                    let bias = b[o]
                    activate(h + row, s + row, to &- from) { _ in bias }
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

    /// `δ = ∂r/∂z` of every label, after `forwardBatch`; times its weight if `weighted`.
    @inline(__always)
    func backwardBatch(_ count: Int, weighted: Bool) {
        guard H > 0 else { return }
        let n = labels.capacity
        let (last, _, _, _) = layer(H, in: parameters)
        let top = unitOffset(H &- 1)
        for o in 0..<plan.widths[H] {
            let row = (top &+ o) &* n
            let lastWeight = last[o]
            for sample in 0..<count {
                let delta = lastWeight * batch.s[row &+ sample]
                batch.delta[row &+ sample] = weighted ? delta * batch.weight[sample] : delta
            }
        }
        var l = H &- 1
        while l > 0 {
            let (w, _, O, I) = layer(l, in: parameters)
            let below = unitOffset(l &- 1) &* n
            // Columns of `w` would meet in few sets of the cache.
            for o in 0..<O { for i in 0..<I { batch.transposed[i &* O &+ o] = w[o &* I &+ i] } }
            var from = 0
            while from < count {
                let to = min(from &+ samplesPerBlock, count)
                forEachSample(
                    batch.transposed, rowStep: O, columnStep: 1, I, O,
                    batch.delta + unitOffset(l) &* n, stride: n, from: from, to: to
                ) { i, sample, e in
                    let at = below &+ i &* n &+ sample
                    batch.delta[at] = e * batch.s[at]
                }
                from = to
            }
            l &-= 1
        }
    }

    /// `out ← Σₛ weight[s] ∇ᵩ r(yₛ)`, after `backwardBatch`; `weighted` as there.
    @inline(__always)
    func weightedGradient(_ out: LanePointer, _ count: Int, weighted: Bool) {
        let n = labels.capacity
        for l in 0..<H {
            let (dw, db, O, I) = layer(l, in: out)
            var delta = batch.delta + unitOffset(l) &* n
            if !weighted {
                for o in 0..<O {
                    for s in 0..<count {
                        batch.scaled[o &* n &+ s] = delta[o &* n &+ s] * batch.weight[s]
                    }
                }
                delta = batch.scaled
            }
            for o in 0..<O { db[o] = sum(count, delta + o &* n) }
            sampleProducts(dw, O, I, delta, input(of: l), stride: n, count: count)
        }
        let (dw, db, _, I) = layer(H, in: out)
        sampleProducts(dw, 1, I, batch.weight, input(of: H), stride: n, count: count)
        if plan.bias { db[0] = sum(count, batch.weight) }
    }

    @inline(__always)
    private func sum(_ count: Int, _ values: LanePointer) -> Lanes {
        var even = Lanes.zero, odd = Lanes.zero
        var s = 0
        while s &+ 2 <= count {
            even += values[s]
            odd += values[s &+ 1]
            s &+= 2
        }
        return s < count ? even + odd + values[s] : even + odd
    }

    // MARK: Retraining

    /// One optimiser step on the mean squared error over `count` labels; `step` counts from 1.
    @inline(__always)
    func trainStep(_ count: Int, step: Int) {
        forwardBatch(count)
        let scale = all(2 / Element(count))
        for s in 0..<count { batch.weight[s] = (batch.reward[s] - labels.values[s]) * scale }
        backwardBatch(count, weighted: true)
        weightedGradient(gradient, count, weighted: true)
        let rate = plan.rewardRate
        let decay = Element(plan.weightDecay)
        switch plan.optimizer {
        case .sgd:
            let keep = 1 - decay
            for i in 0..<P {
                parameters[i] = fma(gradient[i], all(Element(-rate)), parameters[i] * keep)
            }
        case .adam: adamStep(step, rate, added: decay, kept: 1)
        case .adamW: adamStep(step, rate, added: 0, kept: Element(1 - rate * plan.weightDecay))
        }
    }

    /// Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1), ε added to the corrected root; `added`
    /// times the parameter joins the gradient, and `kept` of it stays.
    @inline(__always)
    private func adamStep(_ step: Int, _ rate: Double, added: Element, kept: Element) {
        let beta1 = 0.9, beta2 = 0.999
        let rate1 = all(Element(-rate / (1 - pow(beta1, Double(step)))))
        let root2 = all(Element(1 / (1 - pow(beta2, Double(step))).squareRoot()))
        for i in 0..<P {
            let p = parameters[i]
            let g = fma(p, all(added), gradient[i])
            let m = fma(all(Element(1 - beta1)), g, moment1[i] * Element(beta1))
            let v = fma(all(Element(1 - beta2)), g * g, moment2[i] * Element(beta2))
            moment1[i] = m
            moment2[i] = v
            let denominator = fma(squareRoot(v), root2, all(1e-8))
            parameters[i] = fma(rate1, m / denominator, p * kept)
        }
    }
}
