import FPOObjectives
import Testing

@Test func simPOGoldenValues() {
    expectGolden(SimPO(), 1.357475815, -0.0742690545, 0.0594152436)
}

/// An empty response has the mean 0, not 0/0.
@Test func simPOOfAnEmptyResponse() {
    let empty = Response(logProbability: 0, length: 0)
    let term = SimPO()(chosen: empty, rejected: goldenRejected)
    #expect(abs(term.loss - 0.042372278195) < 1e-9)
}
