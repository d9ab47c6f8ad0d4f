import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct MLPRewardTests {
    /// `|g|²` and its slope by the recursion of docs/math/mixed-derivative.md in reverse mode, which
    /// shares no formula with the tangents, on 1 → 1 → 1 with scalars.
    @Test func practicalPenaltyMatchesTheReverseRecursion() throws {
        let model = try MLPReward<Double>(dimension: 1, hidden: [1])
        let e = RewardExample<Double>(model)
        let (w0, b0, w1) = (e.parameters[0, 0], e.parameters[0, 1], e.parameters[0, 2])
        let (penalties, slopes) = try e.evaluate(RewardPenalty())
        for i in 0..<3 {
            let y = e.actions[i, 0], z = w0 * y + b0
            let x = softplus(z), s = sigmoid(z), dz = w1 * s
            let norm = dz * dz * (1 + y * y) + 1 + x * x
            let adz = 2 * (1 + y * y) * dz
            let az = s * (1 - s) * (w1 * adz) + s * 2 * x
            #expect(abs(penalties[i] - norm) < 1e-14)
            #expect(abs(slopes[i] - (2 * dz * dz * y + w0 * az)) < 1e-14)
        }
    }

    @Test func noHiddenLayerIsLinear() throws {
        let mlp = RewardExample<Double>(try MLPReward<Double>(dimension: 3, hidden: []))
        let linear = RewardExample<Double>(try LinearReward<Double>(dimension: 3))
        let expected = try linear.evaluate(RewardPenalty()).values
        let values = try mlp.evaluate(RewardPenalty()).values
        #expect(values == expected)
    }
}
