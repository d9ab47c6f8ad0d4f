import FPOKernelTypes

// The reward model at one action of each game, and the two alignments of a penalty with their
// slopes. Layers are counted from 0; layer H is the output, whose input is the top hidden layer.
// The recursions are derived in docs/math/mixed-derivative.md.

extension Game {
    /// The input of layer `l`.
    @inline(__always)
    private func input(of l: Int) -> LanePointer {
        l == 0 ? point.y : point.h + unitOffset(l &- 1)
    }

    /// `r(y)`, leaving `h` and the slopes `s`; with `backward` also `δ = ∂r/∂z` and `e = ∂r/∂h`.
    @inline(never)
    func evaluateReward(backward: Bool) -> Lanes {
        let (last, lastBias, _, width) = layer(H, in: parameters)
        for l in 0..<H {
            let (w, b, O, I) = layer(l, in: parameters)
            let u = unitOffset(l)
            let h = point.h + u, s = point.s + u
            if backward && l == H &- 1 && l > 0 {
                let e = point.e + unitOffset(l &- 1)
                let delta = point.delta + u
                fill(e, I)
                multiplyThere(andBack: e, delta, h, w, O, I, input(of: l)) { o, count in
                    activate(h + o, s + o, count) { b[o &+ $0] }
                    for k in o..<o &+ count { delta[k] = last[k] * s[k] }
                }
            } else {
                multiply(h, w, O, I, input(of: l))
                activate(h, s, O) { b[$0] }
            }
        }
        var reward = dot(width, last, input(of: H))
        if plan.bias { reward += lastBias[0] }
        if backward && H > 0 { propagate(last) }
        return reward
    }

    /// Fills `δ` and `e` below the top layer, whose `δ` is there unless it is the only one.
    @inline(__always)
    private func propagate(_ last: LanePointer) {
        let top = unitOffset(H &- 1)
        for o in 0..<plan.widths[H] { point.e[top &+ o] = last[o] }
        if H == 1 {
            for o in 0..<plan.widths[1] { point.delta[o] = last[o] * point.s[o] }
        }
        var l = H &- 2
        while l >= 0 {
            let u = unitOffset(l)
            let width = plan.widths[l &+ 1]
            for o in 0..<width { point.delta[u &+ o] = point.e[u &+ o] * point.s[u &+ o] }
            if l > 0 {
                let (w, _, O, I) = layer(l, in: parameters)
                let below = point.e + unitOffset(l &- 1)
                fill(below, I)
                addTransposed(below, w, O, I, point.delta + u)
            }
            l &-= 1
        }
    }

    // MARK: ‖g‖²

    /// `‖∇ᵩ r(y)‖²`, after `evaluateReward(backward: true)`: a product of norms for each layer.
    @inline(__always)
    func squaredNorm() -> Lanes {
        var norm = dot(plan.widths[H], input(of: H), input(of: H)) + outputBias
        for l in 0..<H {
            let delta = point.delta + unitOffset(l)
            let x = input(of: l)
            norm = fma(
                dot(plan.widths[l &+ 1], delta, delta), dot(plan.widths[l], x, x) + 1, norm)
        }
        return norm
    }

    /// Leaves in `gz` of layer 0 the part of `∇ᵧ ‖g‖²` that passes through `z`; returns the factor
    /// of `y` in the rest.
    @inline(__always)
    func squaredNormGradient() -> Lanes {
        for l in 0..<H {
            let (w, _, O, I) = layer(l, in: parameters)
            let u = unitOffset(l)
            let x = input(of: l)
            let scale = 2 * (dot(I, x, x) + 1)
            let gz = point.gz + u
            // From ∂N/∂δ, of which the layer below gave its part to `gz`: ∂N/∂z, except for what
            // comes from above.
            @inline(__always) func row(_ o: Int, _ below: Lanes) -> Lanes {
                let s = point.s[u &+ o]
                let g = fma(scale, point.delta[u &+ o], below)
                point.g[u &+ o] = g * s
                return g * point.e[u &+ o] * s * (1 - s)
            }
            // The top layer's own output adds ‖h‖² to the norm.
            @inline(__always) func topRow(_ o: Int, _ below: Lanes) -> Lanes {
                row(o, below) + 2 * point.h[u &+ o] * point.s[u &+ o]
            }
            let top = l == H &- 1
            if l == 0 {
                for o in 0..<O { gz[o] = top ? topRow(o, .zero) : row(o, .zero) }
            } else if top {
                let gh = gradientInH(below: l, I)
                let g = point.g + unitOffset(l &- 1)
                multiplyThere(andBack: gh, gz, gz, w, O, I, g, backwards: true) { o, count in
                    for k in o..<o &+ count { gz[k] = topRow(k, gz[k]) }
                }
            } else {
                multiply(gz, w, O, I, point.g + unitOffset(l &- 1))
                for o in 0..<O { gz[o] = row(o, gz[o]) }
            }
        }
        var l = H &- 1
        while l > 0 {
            // `zDot` holds ∂N/∂h of layer l - 1.
            let u = unitOffset(l &- 1)
            let width = plan.widths[l]
            for o in 0..<width {
                point.gz[u &+ o] = fma(point.zDot[u &+ o], point.s[u &+ o], point.gz[u &+ o])
            }
            l &-= 1
            if l > 0 {
                let (w, _, O, I) = layer(l, in: parameters)
                addTransposed(gradientInH(below: l, I), w, O, I, point.gz + u)
            }
        }
        return H == 0 ? all(2) : 2 * dot(plan.widths[1], point.delta, point.delta)
    }

    /// The place of `∂N/∂h` below layer `l`, begun with `2 ‖δₗ‖² h`.
    @inline(__always)
    private func gradientInH(below l: Int, _ width: Int) -> LanePointer {
        let delta = point.delta + unitOffset(l)
        let factor = 2 * dot(plan.widths[l &+ 1], delta, delta)
        let u = unitOffset(l &- 1)
        for i in 0..<width { point.zDot[u &+ i] = factor * point.h[u &+ i] }
        return point.zDot + u
    }

    // MARK: ⟨g, w⟩

    /// `⟨∇ᵩ r(y), w⟩` for the parameter direction `w`, leaving `ż` and `ḣ` (in `g`).
    @inline(__always)
    func alongDirection() -> Lanes {
        for l in 0..<H {
            let (w, _, O, I) = layer(l, in: parameters)
            let (wDot, bDot, _, _) = layer(l, in: direction)
            let u = unitOffset(l)
            let zDot = point.zDot + u
            multiply(zDot, wDot, O, I, input(of: l))
            for o in 0..<O { zDot[o] += bDot[o] }
            if l > 0 { multiply(zDot, w, O, I, point.g + unitOffset(l &- 1), adding: true) }
            for o in 0..<O { point.g[u &+ o] = point.s[u &+ o] * zDot[o] }
        }
        let (last, _, _, width) = layer(H, in: parameters)
        let (lastDot, biasDot, _, _) = layer(H, in: direction)
        var sum = dot(width, lastDot, input(of: H))
        if H > 0 { sum += dot(width, last, point.g + unitOffset(H &- 1)) }
        if plan.bias { sum += biasDot[0] }
        return sum
    }

    /// Leaves in `gz` the tangent of `δ` along `w`: `∇ᵧ ⟨g, w⟩ = W₀ᵀ δ̇₀ + Ẇ₀ᵀ δ₀`.
    @inline(__always)
    func alongDirectionGradient() {
        guard H > 0 else { return }
        let (lastDot, _, _, _) = layer(H, in: direction)
        let top = unitOffset(H &- 1)
        // `out` of the hidden layers: ė, kept where ḣ was.
        for o in 0..<plan.widths[H] { point.g[top &+ o] = lastDot[o] }
        var l = H &- 1
        while true {
            let u = unitOffset(l)
            for o in 0..<plan.widths[l &+ 1] {
                let s = point.s[u &+ o]
                let curved = s * (1 - s) * point.zDot[u &+ o] * point.e[u &+ o]
                point.gz[u &+ o] = fma(s, point.g[u &+ o], curved)
            }
            guard l > 0 else { return }
            let (w, _, O, I) = layer(l, in: parameters)
            let (wDot, _, _, _) = layer(l, in: direction)
            let below = point.g + unitOffset(l &- 1)
            fill(below, I)
            addTransposed(below, w, O, I, point.gz + u)
            addTransposed(below, wDot, O, I, point.delta + u)
            l &-= 1
        }
    }

    // MARK: Slopes in the action

    /// `out ← a ∇ᵧ r + b ∇ᵧ A`, after the evaluations of both; `factor` as
    /// `squaredNormGradient()` returned it.
    @inline(__always)
    func combinedSlope(_ out: LanePointer, _ a: Lanes, _ b: Lanes, factor: Lanes) {
        let (w, _, O, I) = layer(0, in: parameters)
        let byDirection = plan.alignment == .direction || plan.alignment == .inverseNorm
        // Without a slope of its own, `gz` has not been filled.
        let curved = plan.alignment != .unit
        if byDirection {
            fill(out, d)
        } else {
            for i in 0..<d { out[i] = b * factor * point.y[i] }
        }
        if H == 0 {
            for i in 0..<d { out[i] = fma(a, w[i], out[i]) }
            if byDirection { for i in 0..<d { out[i] = fma(b, direction[i], out[i]) } }
            return
        }
        for o in 0..<O {
            point.e[o] = curved ? fma(a, point.delta[o], b * point.gz[o]) : a * point.delta[o]
        }
        addTransposed(out, w, O, I, point.e)
        if byDirection {
            for o in 0..<O { point.e[o] = b * point.delta[o] }
            addTransposed(out, direction, O, I, point.e)
        }
    }

    /// `out ← ∇ᵧ r`.
    @inline(__always)
    func rewardSlope(_ out: LanePointer) {
        let (w, _, O, I) = layer(0, in: parameters)
        if H == 0 {
            for i in 0..<d { out[i] = w[i] }
        } else {
            fill(out, d)
            addTransposed(out, w, O, I, point.delta)
        }
    }
}
