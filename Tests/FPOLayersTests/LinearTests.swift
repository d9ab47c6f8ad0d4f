import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

/// A layer with random parameters and two batches that passed through it.
private struct Layer {
    let B: Int, I: Int, O: Int
    let x, weight, bias, dy, xDot, weightDot, biasDot, dyDot, xOther, dyOther: Matrix<Double>

    init(_ shape: [Int], seed: Int, _ arena: inout Arena<Double>) {
        (B, I, O) = (shape[0], shape[1], shape[2])
        var rng = SplitMix64(seed: seed)
        func random(_ rows: Int, _ columns: Int, _ arena: inout Arena<Double>) -> Matrix<Double> {
            let matrix = arena.matrix(rows, columns)
            matrix.fillRandom(-1...1, using: &rng)
            return matrix
        }
        x = random(B, I, &arena)
        weight = random(O, I, &arena)
        bias = random(O, 1, &arena)
        dy = random(B, O, &arena)
        xDot = random(B, I, &arena)
        weightDot = random(O, I, &arena)
        biasDot = random(O, 1, &arena)
        dyDot = random(B, O, &arena)
        xOther = random(B, I, &arena)
        dyOther = random(B, O, &arena)
    }

    /// `⟨dy, forward(x)⟩`, the scalar whose gradients `backward` gives.
    func value(bias useBias: Bool, _ arena: inout Arena<Double>) -> Double {
        arena.scope { arena in
            let y = arena.matrix(B, O)
            Linear.forward(y, x: x, weight: weight, bias: useBias ? bias : nil)
            return dot(y.count, y.base, dy.base)
        }
    }

    /// The gradient in weight and bias of row `b` of a batch, one vector.
    func gradient(_ b: Int, x: Matrix<Double>, dy: Matrix<Double>, bias: Bool) -> [Double] {
        var elements: [Double] = []
        for o in 0..<O {
            for i in 0..<I { elements.append(dy[b, o] * x[b, i]) }
        }
        if bias { for o in 0..<O { elements.append(dy[b, o]) } }
        return elements
    }
}

private func dot(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
}

private let shapes = [[1, 1, 1], [2, 3, 4], [3, 17, 9], [0, 2, 2]]

@Suite struct LinearTests {
    // numpy 2.4 float64: x @ w.T + b and its products, elements k/8.
    @Test func goldenValues() throws {
        var arena = try Arena<Double>(capacity: 100)
        func matrix(_ rows: Int, _ values: [Double], _ arena: inout Arena<Double>) -> Matrix<Double>
        {
            let m = arena.matrix(rows, values.count / rows)
            for (i, value) in values.enumerated() { m.base[i] = value }
            return m
        }
        let x = matrix(2, [0.5, -1, 2, 0.25, 1.5, -0.75], &arena)
        let w = matrix(2, [1, 2, -0.5, 0.125, -1, 3], &arena)
        let b = matrix(2, [0.25, -0.5], &arena)
        let dy = matrix(2, [1, -2, 0.5, 4], &arena)
        let y = arena.matrix(2, 2)
        Linear.forward(y, x: x, weight: w, bias: b)
        #expect(y.elements == [-2.25, 6.5625, 3.875, -4.21875])
        Linear.forward(y, x: x, weight: w, bias: nil)
        #expect(y.elements == [-2.5, 7.0625, 3.625, -3.71875])
        let dx = arena.matrix(2, 3), dW = arena.matrix(2, 3), db = arena.matrix(2, 1)
        db.fill(1)  // what starts with d is added to
        Linear.backward(dx: dx, dWeight: dW, dBias: db, dy: dy, x: x, weight: w)
        #expect(dx.elements == [0.75, 4, -6.5, 1, -3, 11.75])
        #expect(dW.elements == [0.625, -0.25, 1.625, 0, 8, -7])
        #expect(db.elements == [2.5, 3])
    }

    @Test(arguments: shapes, [true, false])
    func backwardMatchesFiniteDifferences(shape: [Int], bias: Bool) throws {
        var arena = try Arena<Double>(capacity: 4000)
        let l = Layer(shape, seed: 1, &arena)
        let dx = arena.matrix(l.B, l.I), dW = arena.matrix(l.O, l.I), db = arena.matrix(l.O, 1)
        Linear.backward(
            dx: dx, dWeight: dW, dBias: bias ? db : nil, dy: l.dy, x: l.x, weight: l.weight)
        for (analytic, variable) in [(dx, l.x), (dW, l.weight), (db, l.bias)] {
            let expected = numericalGradient(at: variable) { l.value(bias: bias, &arena) }
            #expect(relativeError(analytic.elements, expected) < 1e-8)
        }
    }

    @Test func backwardScalesRows() throws {
        var arena = try Arena<Double>(capacity: 4000)
        let l = Layer([3, 5, 4], seed: 2, &arena)
        let scale = arena.matrix(3, 1), scaled = arena.matrix(3, 4)
        for b in 0..<3 {
            scale[b, 0] = Double(b) - 0.5
            for o in 0..<4 { scaled[b, o] = scale[b, 0] * l.dy[b, o] }
        }
        let dW = arena.matrix(4, 5), expected = arena.matrix(4, 5)
        Linear.backward(
            dx: nil, dWeight: dW, dBias: nil, dy: l.dy, x: l.x, weight: l.weight, scale: scale)
        Linear.backward(
            dx: nil, dWeight: expected, dBias: nil, dy: scaled, x: l.x, weight: l.weight)
        #expect(dW.elements == expected.elements)
    }

    @Test(arguments: shapes, [true, false])
    func gradientProductsMatchMaterialisedGradients(shape: [Int], bias: Bool) throws {
        var arena = try Arena<Double>(capacity: 4000)
        let l = Layer(shape, seed: 3, &arena)
        let gram = arena.matrix(l.B, l.B), pairs = arena.matrix(l.B, 1),
            along = arena.matrix(l.B, 1)
        Linear.gradientGram(
            gram, scale: 2, dy: l.dy, x: l.x, dyOther: l.dyOther, xOther: l.xOther, bias: bias)
        Linear.gradientDot(
            pairs, scale: 2, dy: l.dy, x: l.x, dyOther: l.dyOther, xOther: l.xOther, bias: bias)
        Linear.gradientDot(
            along, scale: 2, dy: l.dy, x: l.x, weightDot: l.weightDot,
            biasDot: bias ? l.biasDot : nil)
        let direction = l.weightDot.elements + (bias ? l.biasDot.elements : [])
        for i in 0..<l.B {
            let g = l.gradient(i, x: l.x, dy: l.dy, bias: bias)
            #expect(relativeError([along[i, 0]], [2 * dot(g, direction)]) < 1e-12)
            for j in 0..<l.B {
                let other = l.gradient(j, x: l.xOther, dy: l.dyOther, bias: bias)
                #expect(relativeError([gram[i, j]], [2 * dot(g, other)]) < 1e-12)
            }
            #expect(pairs[i, 0] == gram[i, i])
        }
    }

    /// Moves `x`, the parameters and `dy` along their tangents, and differentiates both passes.
    @Test(arguments: shapes, [true, false])
    func tangentsMatchFiniteDifferences(shape: [Int], bias: Bool) throws {
        var arena = try Arena<Double>(capacity: 8000)
        let l = Layer(shape, seed: 4, &arena)
        let yDot = arena.matrix(l.B, l.O), dxDot = arena.matrix(l.B, l.I)
        Linear.forwardTangent(
            yDot, xDot: l.xDot, weightDot: l.weightDot, biasDot: bias ? l.biasDot : nil, x: l.x,
            weight: l.weight)
        Linear.backwardTangent(
            dxDot: dxDot, dyDot: l.dyDot, weightDot: l.weightDot, dy: l.dy, weight: l.weight)

        let still = Layer(shape, seed: 4, &arena)
        let t = arena.matrix(1, 1)
        func move() {
            let pairs = [
                (l.x, still.x, l.xDot), (l.weight, still.weight, l.weightDot),
                (l.bias, still.bias, l.biasDot), (l.dy, still.dy, l.dyDot),
            ]
            for (moving, start, dot) in pairs {
                for i in 0..<moving.count { moving.base[i] = start.base[i] + t[0, 0] * dot.base[i] }
            }
        }
        for index in 0..<(l.B * l.O) {
            let expected = numericalGradient(at: t) {
                move()
                return arena.scope { arena in
                    let y = arena.matrix(l.B, l.O)
                    Linear.forward(y, x: l.x, weight: l.weight, bias: bias ? l.bias : nil)
                    return y.base[index]
                }
            }
            #expect(relativeError([yDot.base[index]], expected) < 1e-8)
        }
        for index in 0..<(l.B * l.I) {
            let expected = numericalGradient(at: t) {
                move()
                return arena.scope { arena in
                    let dx = arena.matrix(l.B, l.I)
                    Linear.backward(
                        dx: dx, dWeight: nil, dBias: nil, dy: l.dy, x: l.x, weight: l.weight)
                    return dx.base[index]
                }
            }
            #expect(relativeError([dxDot.base[index]], expected) < 1e-8)
        }
    }

    /// Along the gradients of another batch, the tangents are those along the gradients formed.
    @Test(arguments: [true, false])
    func tangentsAlongGradientsMatchFormedGradients(bias: Bool) throws {
        var arena = try Arena<Double>(capacity: 4000)
        let l = Layer([1, 7, 5], seed: 5, &arena)
        let zero = arena.matrix(1, 7), dyZero = arena.matrix(1, 5)
        let weightDot = arena.matrix(5, 7), biasDot = arena.matrix(5, 1)
        Linear.backward(
            dx: nil, dWeight: weightDot, dBias: biasDot, dy: l.dyOther, x: l.xOther,
            weight: l.weight)
        let yDot = arena.matrix(1, 5), dxDot = arena.matrix(1, 7)
        let yExpected = arena.matrix(1, 5), dxExpected = arena.matrix(1, 7)
        Linear.addForwardTangent(
            yDot, scale: 1, x: l.x, dyOther: l.dyOther, xOther: l.xOther, bias: bias)
        Linear.addBackwardTangent(dxDot, scale: 1, dy: l.dy, dyOther: l.dyOther, xOther: l.xOther)
        Linear.forwardTangent(
            yExpected, xDot: zero, weightDot: weightDot, biasDot: bias ? biasDot : nil, x: l.x,
            weight: l.weight)
        Linear.backwardTangent(
            dxDot: dxExpected, dyDot: dyZero, weightDot: weightDot, dy: l.dy, weight: l.weight)
        #expect(relativeError(yDot.elements, yExpected.elements) < 1e-14)
        #expect(relativeError(dxDot.elements, dxExpected.elements) < 1e-14)
        Linear.addForwardTangent(
            yDot, scale: -1, x: l.x, dyOther: l.dyOther, xOther: l.xOther, bias: bias)
        Linear.addBackwardTangent(dxDot, scale: -1, dy: l.dy, dyOther: l.dyOther, xOther: l.xOther)
        #expect(yDot.elements.allSatisfy { $0 == 0 } && dxDot.elements.allSatisfy { $0 == 0 })
    }

    @Test func floatMatchesDouble() throws {
        var arena = try Arena<Double>(capacity: 4000), small = try Arena<Float>(capacity: 4000)
        let l = Layer([4, 33, 20], seed: 6, &arena)
        func narrow(_ m: Matrix<Double>, _ arena: inout Arena<Float>) -> Matrix<Float> {
            let out = arena.matrix(m.rows, m.columns)
            for i in 0..<m.count { out.base[i] = Float(m.base[i]) }
            return out
        }
        let y = arena.matrix(4, 20), y32 = small.matrix(4, 20)
        Linear.forward(y, x: l.x, weight: l.weight, bias: l.bias)
        Linear.forward(
            y32, x: narrow(l.x, &small), weight: narrow(l.weight, &small),
            bias: narrow(l.bias, &small))
        let widened = (0..<80).map { Double(y32.base[$0]) }
        #expect(relativeError(widened, y.elements) < 1e-6)
    }
}
