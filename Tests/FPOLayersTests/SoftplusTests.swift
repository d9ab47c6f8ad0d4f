import FPOLayers
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct SoftplusTests {
    // mpmath 1.3 at 50 digits: log(1 + exp(x)) and 1 / (1 + exp(-x)).
    static let values: [(x: Double, softplus: Double, sigmoid: Double)] = [
        (-1000, 0, 0),
        (-40, 4.2483542552915889863e-18, 4.24835425529158897728e-18),
        (-1, 0.313261687518222834049, 0.268941421369995120749),
        (0, 0.693147180559945309417, 0.5),
        (0.75, 1.13687100611489994367, 0.67917869917539297316),
        (30, 30.0000000000000935762, 0.99999999999990642377),
        (1000, 1000, 1),
    ]

    @Test(arguments: values)
    func goldenValues(_ value: (x: Double, softplus: Double, sigmoid: Double)) throws {
        var arena = try Arena<Double>(capacity: 10)
        let x = arena.matrix(1, 1), y = arena.matrix(1, 1)
        let dx = arena.matrix(1, 1), dy = arena.matrix(1, 1)
        x[0, 0] = value.x
        dy[0, 0] = 1
        Softplus.forward(y, x: x)
        Softplus.backward(dx: dx, dy: dy, x: x)
        #expect(relativeError([y[0, 0]], [value.softplus], floor: 1e-300) < 1e-15)
        #expect(relativeError([dx[0, 0]], [value.sigmoid], floor: 1e-300) < 1e-15)
    }

    @Test(arguments: 0..<4)
    func everyVerbMatchesFiniteDifferences(seed: Int) throws {
        var arena = try Arena<Double>(capacity: 200)
        var rng = SplitMix64(seed: seed)
        func random(_ range: ClosedRange<Double>, _ arena: inout Arena<Double>) -> Matrix<Double> {
            let m = arena.matrix(2, 3)
            m.fillRandom(range, using: &rng)
            return m
        }
        let x = random(-4...4, &arena), dy = random(-1...1, &arena)
        let xDot = random(-1...1, &arena), dyDot = random(-1...1, &arena)
        let y = arena.matrix(2, 3), dx = arena.matrix(2, 3)
        let yDot = arena.matrix(2, 3), dxDot = arena.matrix(2, 3)
        dx.fill(2)  // backward adds
        Softplus.backward(dx: dx, dy: dy, x: x)
        Softplus.forwardTangent(yDot, xDot: xDot, x: x)
        Softplus.backwardTangent(dxDot: dxDot, dyDot: dyDot, xDot: xDot, dy: dy, x: x)
        let slopes = numericalGradient(at: x) {
            Softplus.forward(y, x: x)
            return dot(6, y.base, dy.base)
        }
        #expect(relativeError(dx.elements.map { $0 - 2 }, slopes) < 1e-8)

        let still = x.elements, dyStill = dy.elements, t = arena.matrix(1, 1)
        for i in 0..<6 {
            let forward = numericalGradient(at: t) {
                x.base[i] = still[i] + t[0, 0] * xDot.base[i]
                Softplus.forward(y, x: x)
                return y.base[i]
            }
            #expect(relativeError([yDot.base[i]], forward) < 1e-8)
            let backward = numericalGradient(at: t) {
                x.base[i] = still[i] + t[0, 0] * xDot.base[i]
                dy.base[i] = dyStill[i] + t[0, 0] * dyDot.base[i]
                dx.fill(0)
                Softplus.backward(dx: dx, dy: dy, x: x)
                return dx.base[i]
            }
            #expect(relativeError([dxDot.base[i]], backward) < 1e-8)
            x.base[i] = still[i]
            dy.base[i] = dyStill[i]
        }
    }

    @Test func saturationStaysFinite() throws {
        var arena = try Arena<Float>(capacity: 40)
        let x = arena.matrix(1, 4), y = arena.matrix(1, 4), one = arena.matrix(1, 4)
        for (i, value) in [-1e30, -1e3, 1e3, 1e30].enumerated() { x.base[i] = Float(value) }
        one.fill(1)
        let out = arena.matrix(1, 4)
        Softplus.forward(y, x: x)
        Softplus.backwardTangent(dxDot: out, dyDot: one, xDot: one, dy: one, x: x)
        for i in 0..<4 { #expect(y.base[i].isFinite && out.base[i].isFinite) }
    }
}
