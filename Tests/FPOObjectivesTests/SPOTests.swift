import FPOObjectives
import FPOTestSupport
import Testing

@Test func winRatesLeaveTheResponseItselfOut() {
    let P = Samples<Double>(3, 3) { i, j in
        [[0.5, 0.9, 0.2], [0.1, 0.5, 0.4], [0.8, 0.6, 0.5]][i][j]
    }
    #expect(abs(SPO.reward(of: 0, preference: P.rows, group: nil) - 0.55) < 1e-15)
    #expect(SPO.reward(of: 0, preference: P.rows, group: [7, 1, 7]) == 0.2)
    #expect(SPO.reward(of: 1, preference: P.rows, group: [7, 1, 7]) == 0.5)
}
