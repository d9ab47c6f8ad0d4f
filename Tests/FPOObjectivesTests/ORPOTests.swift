import FPONumerics
import FPOObjectives
import Testing

@Test func oRPOGoldenValues() {
    expectGolden(ORPO(), 2.186945414, -0.0533093496, 0.0027724943)
}

/// The odds of a certain response are infinite: harmless where it is chosen, and not otherwise.
@Test func orpoOfCertainResponses() {
    let certain = Response(logProbability: 0, length: 3)
    let half = Response(logProbability: Double.exp(0) * -0.6931471805599453, length: 1)
    let won = ORPO()(chosen: certain, rejected: half)
    // odds⁻/(p⁺ + odds⁻ (1 − p⁺)) = 1 at p⁺ = 1, odds⁻ = 1.
    #expect(won.loss == 0 && abs(won.dChosen + 1.1 / 3) < 1e-15 && won.dRejected == 0)
    #expect(ORPO()(chosen: half, rejected: certain).loss == .infinity)
}

/// mpmath, 50 digits, β = 1: mean log-probabilities -1e-9 and -30.
@Test func orpoAtBothEndsOfProbability() {
    var loss = ORPO()
    loss.beta = 1
    let term = loss(
        chosen: Response(logProbability: -1e-9), rejected: Response(logProbability: -30))
    #expect(abs(term.loss / 1.0000000000000936e-9 - 1) < 1e-12)
    let other = loss(
        chosen: Response(logProbability: -30), rejected: Response(logProbability: -1e-9))
    #expect(abs(other.loss / 80.72326583644632 - 1) < 1e-12)
}
