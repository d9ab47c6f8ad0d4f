import FPOKernelTypes

// The exact penalty's direction `w`, from the reward gradients `gᵢ` of the labels in the buffer,
// J = (g₁ … gₙ)ᵀ, K = J Jᵀ, without forming J:
//
//     H = (1/n) Σ gᵢ gᵢᵀ,   ḡ = (1/n) Σ gᵢ
//     (H + δ I)⁻¹ ḡ    = Jᵀ (K + n δ I)⁻¹ 1
//     (H + δ I)⁻¹ g(y) = (g(y) − Jᵀ (K + n δ I)⁻¹ J g(y)) / δ

extension Game {
    /// Prepares a round: `direction`, or the factor of `K + n δ I` where `w` depends on the action.
    @inline(__always)
    func prepareSteering(_ count: Int) {
        guard count > 0 else {
            fill(direction, P)
            return
        }
        differentiateBatch(count)
        let needsFactor = plan.alignment == .inverseNorm || plan.inverseCurvature
        if needsFactor { factorGram(count) }
        guard plan.alignment == .direction else { return }
        if plan.inverseCurvature {
            fill(batch.weight, count, 1)
            choleskySolve(gram, count, stride: labels.capacity, batch.weight)
        } else {
            fill(batch.weight, count, 1 / Element(count))
        }
        weightedGradient(direction, count, weighted: false)
    }

    /// Fills `gram` with the Cholesky factor of `K + n δ I`; `⟨gᵢ, gⱼ⟩` is a sum over layers of
    /// `⟨δᵢ, δⱼ⟩ (⟨xᵢ, xⱼ⟩ + 1)`.
    private func factorGram(_ count: Int) {
        let n = labels.capacity
        @inline(__always) func products(
            _ x: LanePointer, _ units: Int, _ emit: (Int, Lanes) -> Void
        ) {
            let samples = Factor(x, across: 1, along: n)
            forEachProduct(samples, count, samples, 0..<count, depth: units) { i, j, sum in
                emit(i &* n &+ j, sum)
            }
        }
        func input(_ l: Int) -> LanePointer {
            l == 0 ? labels.actions : batch.h + unitOffset(l &- 1) &* n
        }
        products(input(H), plan.widths[H]) { gram[$0] = $1 + outputBias }
        for l in 0..<H {
            let delta = batch.delta + unitOffset(l) &* n
            products(delta, plan.widths[l &+ 1]) { gramProducts[$0] = $1 }
            products(input(l), plan.widths[l]) {
                gram[$0] = fma(gramProducts[$0], $1 + 1, gram[$0])
            }
        }
        let ridge = all(Element(plan.damping * Double(count)))
        for i in 0..<count { gram[i &* n &+ i] += ridge }
        choleskyFactor(gram, count, stride: n)
    }

    /// `direction ← (H + δ I)⁻¹ g(y)`, after `evaluateReward(backward: true)`.
    @inline(never)
    func steerAlongOwnGradient(_ count: Int) {
        let inverseDamping = Element(1 / plan.damping)
        if count > 0 {
            let n = labels.capacity
            for s in 0..<count {
                var sum = sampleDot(point.h(below: self, H), s, of: H) + outputBias
                for l in 0..<H {
                    let u = unitOffset(l)
                    var products = Lanes.zero
                    for o in 0..<plan.widths[l &+ 1] {
                        products = fma(
                            point.delta[u &+ o], batch.delta[(u &+ o) &* n &+ s], products)
                    }
                    sum = fma(products, sampleDot(point.h(below: self, l), s, of: l) + 1, sum)
                }
                batch.weight[s] = sum
            }
            choleskySolve(gram, count, stride: n, batch.weight)
            for s in 0..<count { batch.weight[s] = -batch.weight[s] }
            weightedGradient(direction, count, weighted: false)
        } else {
            fill(direction, P)
        }
        for l in 0...H {
            let (w, b, O, I) = layer(l, in: direction)
            let x = point.h(below: self, l)
            for o in 0..<O {
                let delta = l == H ? all(1) : point.delta[unitOffset(l) &+ o]
                for i in 0..<I {
                    let at = place(o, i, O, I)
                    w[at] = fma(delta, x[i], w[at]) * inverseDamping
                }
                if l < H || plan.bias { b[o] = (b[o] + delta) * inverseDamping }
            }
        }
    }

    /// `⟨x, xₛ⟩` of the inputs of layer `l` at the action and at label `s`.
    @inline(__always)
    private func sampleDot(_ x: LanePointer, _ s: Int, of l: Int) -> Lanes {
        let n = labels.capacity
        let rows = l == 0 ? labels.actions : batch.h + unitOffset(l &- 1) &* n
        var sum = Lanes.zero
        for i in 0..<plan.widths[l] { sum = fma(x[i], rows[i &* n &+ s], sum) }
        return sum
    }
}

extension Point {
    /// The input of layer `l`.
    @inline(__always)
    func h(below game: Game, _ l: Int) -> LanePointer {
        l == 0 ? y : h + game.unitOffset(l &- 1)
    }
}
