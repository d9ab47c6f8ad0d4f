import CLanes
import FPOKernelTypes

/// `e^x` for `x ≤ 0`, and 0 where that is not normal.
@inline(__always)
func weight(_ x: Lanes) -> Lanes { select(x, lessThan: -87, all(0), else: exponential(x)) }

func swiglu(_ n: Int, _ gate: Input, _ up: Input, _ y: Output) {
    update(n, gate, up, gate, y) { g, u, _, _ in g * sigmoidLanes(g) * u }
}

func swigluBackward(
    _ n: Int, _ dy: Input, _ gate: Input, _ up: Input, _ dGate: Output, _ dUp: Output
) {
    // One vector at a time through both results, so that they may alias nothing but themselves.
    @inline(__always)
    func slopes(_ dy: Lanes, _ g: Lanes, _ u: Lanes) -> (Lanes, Lanes) {
        let s = sigmoidLanes(g)
        return (dy * u * (s * fma(g, 1 - s, all(1))), dy * (g * s))
    }
    vectors(
        n,
        {
            let (a, b) = slopes(load(dy + $0), load(gate + $0), load(up + $0))
            store(load(Input(dGate + $0)) + a, dGate + $0)
            store(load(Input(dUp + $0)) + b, dUp + $0)
        },
        {
            let (a, b) = slopes(
                loadFirst($1, dy + $0), loadFirst($1, gate + $0), loadFirst($1, up + $0))
            storeFirst($1, loadFirst($1, Input(dGate + $0)) + a, dGate + $0)
            storeFirst($1, loadFirst($1, Input(dUp + $0)) + b, dUp + $0)
        })
}

/// `1 / (1 + e⁻ˣ)`, normal down to `x = −87`.
@inline(__always)
private func sigmoidLanes(_ x: Lanes) -> Lanes { 1 / (exponential(-x) + 1) }

/// `½ erfc(z)` for `z ≥ 0`: Numerical Recipes' Chebyshev fit, its exponent in two parts so that
/// the tail keeps its digits.
@inline(__always)
private func halfComplement(_ z: Lanes) -> Lanes {
    let t = 1 / fma(z, all(0.5), all(1))
    var p = all(0.17087277)
    p = fma(p, t, all(-0.82215223))
    p = fma(p, t, all(1.48851587))
    p = fma(p, t, all(-1.13520398))
    p = fma(p, t, all(0.27886807))
    p = fma(p, t, all(-0.18628806))
    p = fma(p, t, all(0.09678418))
    p = fma(p, t, all(0.37409196))
    p = fma(p, t, all(1.00002368))
    p = fma(p, t, all(-1.26551223))
    let square = z * z
    let low = fma(z, z, -square)
    return t * weight(p - square) * (all(0.5) - low * 0.5)
}

/// `Φ(x)`, and the density `φ(x)`.
@inline(__always)
private func normalDistribution(_ x: Lanes) -> (Lanes, Lanes) {
    let tail = halfComplement(magnitude(x) * 0.70710678118654752440)
    let density = weight(x * x * -0.5) * 0.39894228040143267794
    return (select(x, lessThan: 0, tail, else: 1 - tail), density)
}

func gelu(_ exact: Bool, _ n: Int, _ x: Input, _ y: Output) {
    if exact {
        update(n, x, x, x, y) { x, _, _, _ in x * normalDistribution(x).0 }
    } else {
        update(n, x, x, x, y) { x, _, _, _ in
            let t = hyperbolicTangent(
                fma(x * x * x, all(0.0356774081363), x * 0.797884560802865))
            return x * fma(t, all(0.5), all(0.5))
        }
    }
}

func geluBackward(_ exact: Bool, _ n: Int, _ x: Input, _ dy: Input, _ dx: Output) {
    if exact {
        update(n, x, dy, x, dx) { x, dy, _, dx in
            let (distribution, density) = normalDistribution(x)
            return fma(fma(x, density, distribution), dy, dx)
        }
    } else {
        update(n, x, dy, x, dx) { x, dy, _, dx in
            let t = hyperbolicTangent(
                fma(x * x * x, all(0.0356774081363), x * 0.797884560802865))
            let inner = fma(x * x, all(3 * 0.0356774081363), all(0.797884560802865))
            let slope = fma(x * inner * 0.5, fma(-t, t, all(1)), fma(t, all(0.5), all(0.5)))
            return fma(slope, dy, dx)
        }
    }
}

func rotate(_ half: Int, _ direction: Float, _ table: Input, _ x: Output) {
    @inline(__always)
    func turn(_ a: Lanes, _ b: Lanes, _ c: Lanes, _ s: Lanes) -> (Lanes, Lanes) {
        (fma(-b, s, a * c), fma(a, s, b * c))
    }
    vectors(
        half,
        {
            let (a, b) = turn(
                load(Input(x + $0)), load(Input(x + (half &+ $0))), load(table + $0),
                load(table + (half &+ $0)) * direction)
            store(a, x + $0)
            store(b, x + (half &+ $0))
        },
        {
            let (a, b) = turn(
                loadFirst($1, Input(x + $0)), loadFirst($1, Input(x + (half &+ $0))),
                loadFirst($1, table + $0), loadFirst($1, table + (half &+ $0)) * direction)
            storeFirst($1, a, x + $0)
            storeFirst($1, b, x + (half &+ $0))
        })
}
