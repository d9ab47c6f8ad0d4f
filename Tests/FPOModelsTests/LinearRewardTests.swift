import FPOModels
import FPONumerics
import Testing

@Suite struct LinearRewardTests {
    /// `r = w · y + b`, `∇r = w`, `|g|² = |y|² + 1` and its slope `2 y`, worked by hand.
    @Test(arguments: [true, false])
    func practicalPenaltyIsAnActionCost(bias: Bool) throws {
        let model = try LinearReward<Double>(dimension: 2, bias: bias)
        let e = RewardExample<Double>(model)
        let (w, y) = (e.parameters, e.actions)
        let rewards = try e.filled(3, 1) {
            try model.rewards($0.base, of: Rows(y), parameters: w)
        }
        let (penalties, slopes) = try e.evaluate(RewardPenalty())
        for i in 0..<3 {
            let r = w[0, 0] * y[i, 0] + w[0, 1] * y[i, 1] + (bias ? w[0, 2] : 0)
            let norm = y[i, 0] * y[i, 0] + y[i, 1] * y[i, 1] + (bias ? 1 : 0)
            #expect(abs(rewards[i] - r) < 1e-15)
            #expect(abs(penalties[i] - norm) < 1e-14)
            #expect(slopes[2 * i] == 2 * y[i, 0] && slopes[2 * i + 1] == 2 * y[i, 1])
        }
    }
}
