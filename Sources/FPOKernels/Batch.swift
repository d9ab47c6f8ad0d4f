import FPOKernelTypes
import Glibc

/// Scratch of the passes over the label buffer: activations with the samples in a row, so that a
/// weight's gradient is a product of two contiguous streams.
struct Batch {
    let h, s: LanePointer  // (units, capacity)
    let delta: LanePointer  // (units, capacity), in the place of s
    let reward, weight: LanePointer  // (capacity)
    let scaled: LanePointer  // (units, capacity)

    init(capacity n: Int, units: Int, _ take: (Int) -> LanePointer) {
        h = take(units * n)
        s = take(units * n)
        delta = s
        scaled = take(units * n)
        reward = take(n)
        weight = take(n)
    }
}

extension Game {
    /// Calls `body` for ranges of samples that keep a layer's weights in the nearest cache.
    @inline(__always)
    private func forEachBlock(_ count: Int, _ body: (Range<Int>) -> Void) {
        let samplesPerBlock = 12
        var from = 0
        while from < count {
            let to = min(from &+ samplesPerBlock, count)
            body(from..<to)
            from = to
        }
    }

    @inline(__always)
    private func input(of l: Int) -> LanePointer {
        l == 0 ? labels.actions : batch.h + unitOffset(l &- 1) &* labels.capacity
    }

    /// Rewards, activations and slopes of some labels.
    @inline(never)
    private func forward(_ samples: Range<Int>) {
        let n = labels.capacity
        for l in 0..<H {
            let (w, b, O, I) = layer(l, in: parameters)
            let h = batch.h + unitOffset(l) &* n
            let s = batch.s + unitOffset(l) &* n
            forEachSample(w, O, I, input(of: l), stride: n, samples) { o, sample, z in
                let at = o &* n &+ sample
                h[at] = z + b[o]
                s[at] = decay(h[at])
            }
            for o in 0..<O {
                for sample in samples {
                    let at = o &* n &+ sample
                    (h[at], s[at]) = softplusAndSigmoid(h[at], decayed: s[at])
                }
            }
        }
        let (w, b, _, I) = layer(H, in: parameters)
        forEachSample(w, 1, I, input(of: H), stride: n, samples) { _, sample, z in
            batch.reward[sample] = plan.bias ? z + b[0] : z
        }
    }

    /// `δ = ∂r/∂z` of some labels, after `forward`; times its weight if `weighted`.
    @inline(never)
    private func backward(_ samples: Range<Int>, weighted: Bool) {
        guard H > 0 else { return }
        let n = labels.capacity
        let (last, _, _, _) = layer(H, in: parameters)
        let top = unitOffset(H &- 1)
        for o in 0..<plan.widths[H] {
            let row = (top &+ o) &* n
            let lastWeight = last[o]
            for sample in samples {
                let delta = lastWeight * batch.s[row &+ sample]
                batch.delta[row &+ sample] = weighted ? delta * batch.weight[sample] : delta
            }
        }
        var l = H &- 1
        while l > 0 {
            let (w, _, O, I) = layer(l, in: parameters)
            let below = unitOffset(l &- 1) &* n
            forEachSampleTransposed(
                w, O, I, batch.delta + unitOffset(l) &* n, stride: n, samples
            ) { i, sample, e in
                let at = below &+ i &* n &+ sample
                batch.delta[at] = e * batch.s[at]
            }
            l &-= 1
        }
    }

    /// Activations and `δ` of the first `count` labels.
    func differentiateBatch(_ count: Int) {
        forEachBlock(count) { samples in
            forward(samples)
            backward(samples, weighted: false)
        }
    }

    /// `out ← Σₛ weight[s] ∇ᵩ r(yₛ)`, after `backward`; `weighted` as there.
    @inline(never)
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
        let scale = all(2 / Element(count))
        forEachBlock(count) { samples in
            forward(samples)
            for s in samples { batch.weight[s] = (batch.reward[s] - labels.values[s]) * scale }
            backward(samples, weighted: true)
        }
        weightedGradient(gradient, count, weighted: true)
        let decay = Element(plan.weightDecay)
        switch plan.optimizer {
        case .sgd:
            let rate = all(Element(-plan.rewardRate))
            for i in 0..<P { parameters[i] = fma(gradient[i], rate, parameters[i] * (1 - decay)) }
        case .adam: adamStep(step, added: decay, kept: 1)
        case .adamW: adamStep(step, added: 0, kept: Element(1 - plan.rewardRate * plan.weightDecay))
        }
    }

    /// Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1), ε added to the corrected root; `added`
    /// times the parameter joins the gradient, and `kept` of it stays.
    @inline(never)
    private func adamStep(_ step: Int, added: Element, kept: Element) {
        let beta1 = 0.9, beta2 = 0.999
        let rate = all(Element(-plan.rewardRate / (1 - pow(beta1, Double(step)))))
        let root2 = all(Element(1 / (1 - pow(beta2, Double(step))).squareRoot()))
        for i in 0..<P {
            let p = parameters[i]
            let g = fma(p, all(added), gradient[i])
            let m = fma(all(Element(1 - beta1)), g, moment1[i] * Element(beta1))
            let v = fma(all(Element(1 - beta2)), g * g, moment2[i] * Element(beta2))
            moment1[i] = m
            moment2[i] = v
            let denominator = fma(squareRoot(v), root2, all(1e-8))
            parameters[i] = fma(rate, m / denominator, p * kept)
        }
    }
}
