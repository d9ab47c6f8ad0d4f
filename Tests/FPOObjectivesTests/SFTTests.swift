import FPOObjectives
import Testing

@Test func sftIsTheNegativeLogLikelihood() {
    let y = Response(logProbability: -42, length: 20)
    #expect(SFT.evaluate(y, isMean: true) == (loss: 2.1, derivative: -0.05))
    #expect(SFT.evaluate(y, isMean: false) == (loss: 42, derivative: -1))
    #expect(SFT.evaluate(Response(logProbability: 0, length: 0), isMean: true).loss == 0)
}
