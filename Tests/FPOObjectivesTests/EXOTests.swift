import FPOObjectives
import Testing

@Test func exoGoldenValues() {
    var loss = EXO()
    loss.labelSmoothing = 0.1
    expectGolden(loss, 0.538597613, -0.0561455162, 0.0561455162)
}

/// Hazard: without smoothing the loss of every pair would be infinite, so 0 is out of bounds.
@Test func exoRefusesHardLabels() {
    let smoothing = EXO.parameters.first { $0.field == .labelSmoothing }
    #expect(smoothing?.bounds.contains(0) == false)
}
