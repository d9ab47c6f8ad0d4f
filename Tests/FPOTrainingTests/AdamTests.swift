import FPONumerics
import FPOTestSupport
import FPOTraining
import Testing

/// The expected values are torch 2.13.0's in float64, on the function of `descend`.
@Suite struct AdamTests {
    @Test(arguments: [
        (1, [0.9900000000876961, -1.990000000024003, 0.49000000010780714]),
        (5, [0.9499987684703711, -1.9500283094826947, 0.44999697594755467]),
        (50, [0.5024965362358276, -1.5217909576713657, 0.00365347018056998]),
    ])
    func defaultsMatchTorch(steps: Int, expected: [Double]) {
        var adam = Adam<Double>()
        adam.learningRate = 0.01
        #expect(relativeError(descend(adam, steps: steps), expected) < 1e-13)
    }

    @Test(arguments: [
        (1, [0.9900000080625441, -1.9900000022903486, 0.49000001022930456]),
        (5, [0.9500038818081962, -1.9500449104941158, 0.45000258803424165]),
        (50, [0.5046406207184898, -1.5199937661515885, 0.0065600178672758445]),
    ])
    func coupledDecayMatchesTorch(steps: Int, expected: [Double]) {
        var adam = Adam<Double>()
        adam.learningRate = 0.01
        (adam.beta1, adam.beta2, adam.epsilon) = (0.8, 0.95, 1e-6)
        adam.weightDecay = 0.1
        #expect(relativeError(descend(adam, steps: steps), expected) < 1e-13)
    }

    @Test(arguments: [
        (1, [0.9890000000876961, -1.988000000024003, 0.48950000010780714]),
        (5, [0.9451078212612724, -1.9401544733562048, 0.4476010690799934]),
        (50, [0.4657837495266488, -1.4409694273275777, -0.008861901756583848]),
    ])
    func decoupledDecayMatchesTorch(steps: Int, expected: [Double]) {
        var adam = Adam<Double>()
        adam.learningRate = 0.01
        adam.weightDecay = 0.1
        adam.decay = .decoupled
        #expect(relativeError(descend(adam, steps: steps), expected) < 1e-13)
    }

    @Test func floatMatchesDouble() {
        var adam = Adam<Float>()
        adam.learningRate = 0.01
        let expected = [0.5024965362358276, -1.5217909576713657, 0.00365347018056998]
        #expect(relativeError(descend(adam, steps: 50), expected) < 1e-5)
    }
}
