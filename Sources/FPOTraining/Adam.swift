public import FPONumerics

/// Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1), and AdamW with the decay decoupled
/// (Loshchilov and Hutter, arXiv:1711.05101), as `torch.optim.Adam` and `torch.optim.AdamW` have
/// them.
///
///     Adam    g ← g + weightDecay w
///     AdamW   w ← w − learningRate weightDecay w
///
///     m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
///     w ← w − learningRate m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
public struct Adam<Element: Scalar>: Optimizer {
    public enum Decay: Sendable { case coupled, decoupled }

    public var learningRate: Element = 1e-3
    /// `β₁` and `β₂`, in `[0, 1)`.
    public var beta1 = 0.9, beta2 = 0.999
    /// `ε > 0`.
    public var epsilon: Element = 1e-8
    public var weightDecay: Element = 0
    /// `.coupled` is Adam, `.decoupled` AdamW.
    public var decay = Decay.coupled

    public init() {}

    /// `m` and `v`.
    public var momentCount: Int { 2 }

    @specialized(where Element == Float)
    @specialized(where Element == Double)
    public func step(
        _ step: Int, parameters: Matrix<Element>, gradient: Matrix<Element>,
        moments: Matrix<Element>
    ) {
        check(parameters, gradient, moments)
        let w = parameters.base, g = gradient.base
        let m = moments.row(0).base, v = moments.row(1).base
        let rate = Element(Double(learningRate) / (1 - power(beta1, step)))
        let root = Element((1 - power(beta2, step)).squareRoot())
        let (coupled, decoupled) = decay == .coupled ? (weightDecay, 0) : (0, weightDecay)
        let (rest1, rest2) = (Element(1 - beta1), Element(1 - beta2))
        for i in 0..<parameters.count {
            let d = g[i] + coupled * w[i]
            m[i] += rest1 * (d - m[i])
            v[i] = Element(beta2) * v[i] + rest2 * d * d
            w[i] -= learningRate * decoupled * w[i]
            w[i] -= rate * m[i] / (v[i].squareRoot() / root + epsilon)
        }
    }
}
