public import FPONumerics

/// A rule that turns a gradient into a step. The rule itself has no state: `moments`, the vectors
/// that it remembers, and the number of the step belong to the caller, who can save them.
public protocol Optimizer<Element>: Sendable {
    associatedtype Element: Scalar

    /// How many vectors of the parameters' length it remembers. They start at zero.
    var momentCount: Int { get }

    /// Step number `step`, the first being 1, on `parameters (1, p)`, in place.
    /// `moments (momentCount, p)`.
    func step(
        _ step: Int, parameters: Matrix<Element>, gradient: Matrix<Element>,
        moments: Matrix<Element>)
}

extension Optimizer {
    func check(
        _ parameters: Matrix<Element>, _ gradient: Matrix<Element>, _ moments: Matrix<Element>
    ) {
        precondition(
            gradient.count == parameters.count
                && moments.count == momentCount * parameters.count,
            """
            optimiser: \(parameters.count) parameters, \(gradient.count) derivatives, \
            \(moments.count) moments where \(momentCount) each
            """)
    }
}

/// `baseⁿ` for `n ≥ 0`, by squaring: the same bits everywhere.
func power(_ base: Double, _ n: Int) -> Double {
    var result = 1.0, square = base, n = n
    while n > 0 {
        if n & 1 == 1 { result *= square }
        square *= square
        n >>= 1
    }
    return result
}
