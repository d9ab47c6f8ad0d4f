import FPONumerics
import FPOTestSupport
import FPOTraining
import Glibc
import Testing

/// Descends `f(w) = ½ wᵀ A w + Σ sin wᵢ` from `(1, −2, 0.5)`; what torch 2.13.0 gives in float64
/// for the same is written in the tests (`torch.optim`, gradients by autograd).
func descend<Rule: Optimizer>(_ rule: Rule, steps: Int) -> [Double] {
    typealias S = Rule.Element
    let a: [[S]] = [[1, 0.2, 0], [0.2, 2, 0.1], [0, 0.1, 0.5]]
    var arena = Arena<S>(capacity: 12)
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

@Suite struct SGDTests {
    @Test(arguments: [
        (1, [0.8859697694131861, -1.5833853163452858, 0.40724174381096273]),
        (5, [0.39975101693058945, -0.8105945554086341, 0.019514790838643475]),
        (50, [-0.696072437414108, -0.3502738499397644, -1.001456239148088]),
    ])
    func plainMatchesTorch(steps: Int, expected: [Double]) {
        var sgd = SGD<Double>()
        sgd.learningRate = 0.1
        #expect(relativeError(descend(sgd, steps: steps), expected) < 1e-13)
    }

    @Test(arguments: [
        (1, [0.8849697694131861, -1.5813853163452858, 0.40674174381096273]),
        (5, [-0.5668897071302189, 0.7343909912003704, -0.7463310908112625]),
        (50, [-0.6526131129396562, -0.4592253555956594, -0.9206968415996951]),
    ])
    func momentumAndDecayMatchTorch(steps: Int, expected: [Double]) {
        var sgd = SGD<Double>()
        sgd.learningRate = 0.1
        sgd.momentum = 0.9
        sgd.weightDecay = 0.01
        #expect(relativeError(descend(sgd, steps: steps), expected) < 1e-13)
    }

    @Test func floatMatchesDouble() {
        var sgd = SGD<Float>()
        sgd.learningRate = 0.1
        sgd.momentum = 0.9
        let expected = [0.8859697694131861, -1.5833853163452858, 0.40724174381096273]
        #expect(relativeError(descend(sgd, steps: 1), expected) < 1e-6)
    }
}
