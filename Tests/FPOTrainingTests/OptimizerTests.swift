import FPONumerics
import FPOTraining
import Glibc
import Testing

/// Descends `f(w) = ½ wᵀ A w + Σ sin wᵢ` from `(1, −2, 0.5)`; what torch 2.13.0 gives in float64
/// for the same is written in the tests (`torch.optim`, gradients by autograd).
func descend<Rule: Optimizer>(_ rule: Rule, steps: Int) -> [Double] {
    typealias S = Rule.Element
    let a: [[S]] = [[1, 0.2, 0], [0.2, 2, 0.1], [0, 0.1, 0.5]]
    var arena = try! Arena<S>(capacity: 12)
    let w = arena.matrix(1, 3), g = arena.matrix(1, 3)
    let moments = arena.matrix(rule.momentCount, 3)
    (w[0, 0], w[0, 1], w[0, 2]) = (1, -2, 0.5)
    for step in 0..<steps {
        for i in 0..<3 {
            g[0, i] = S(cos(Double(w[0, i]))) + (0..<3).reduce(0) { $0 + a[i][$1] * w[0, $1] }
        }
        rule.step(step + 1, parameters: w, gradient: g, moments: moments)
    }
    return (0..<3).map { Double(w[0, $0]) }
}

@Suite struct OptimizerTests {
    @Test func momentsAreWhatTheRulesRemember() {
        var sgd = SGD<Double>()
        #expect(sgd.momentCount == 0)
        sgd.momentum = 0.9
        #expect(sgd.momentCount == 1)
        #expect(Adam<Double>().momentCount == 2)
    }

    /// A rule has no state of its own: the same number of steps through two values of it, sharing
    /// the moments, gives the same bits as through one.
    @Test func stateBelongsToTheCaller() throws {
        var arena = try Arena<Double>(capacity: 20)
        let g = arena.matrix(1, 2), straight = arena.matrix(1, 2), resumed = arena.matrix(1, 2)
        let first = arena.matrix(2, 2), second = arena.matrix(2, 2)
        let rule = Adam<Double>()
        for step in 1...10 {
            (g[0, 0], g[0, 1]) = (Double(step), -0.5)
            rule.step(step, parameters: straight, gradient: g, moments: first)
            Adam<Double>().step(step, parameters: resumed, gradient: g, moments: second)
        }
        #expect(straight[0, 0] == resumed[0, 0] && straight[0, 1] == resumed[0, 1])
        #expect(straight[0, 0] < 0 && straight[0, 1] > 0)
    }
}
