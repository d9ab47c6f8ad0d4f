import FPOTestSupport
import FPOTraining
import Testing

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
