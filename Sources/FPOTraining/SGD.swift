public import FPONumerics

/// Stochastic gradient descent as `torch.optim.SGD` has it, without dampening or Nesterov's
/// correction.
///
///     g ← g + weightDecay w,   b ← momentum b + g,   w ← w − learningRate b
public struct SGD<Element: Scalar>: Optimizer {
    public var learningRate: Element = 1e-3
    /// In `[0, 1)`.
    public var momentum: Element = 0
    public var weightDecay: Element = 0

    public init() {}

    public var momentCount: Int { momentum == 0 ? 0 : 1 }

    @specialized(where Element == Float)
    @specialized(where Element == Double)
    public func step(
        _ step: Int, parameters: Matrix<Element>, gradient: Matrix<Element>,
        moments: Matrix<Element>
    ) {
        check(parameters, gradient, moments)
        let w = parameters.base, g = gradient.base, b = moments.base
        for i in 0..<parameters.count {
            var d = g[i] + weightDecay * w[i]
            if momentum != 0 {
                d += momentum * b[i]
                b[i] = d
            }
            w[i] -= learningRate * d
        }
    }
}
