import FPOObjectives
import FPOTestSupport
import Testing

@Test func chesByHand() {
    let chosen = Samples<Double>(2, 2) { i, j in [[1, 0], [2, 1]][i][j] }
    let rejected = Samples<Double>(1, 2) { _, j in [4, -1][j] }
    let found = CHES(chosen: chosen.rows, rejected: rejected.rows)
    // S⁺ = (3, 1), S⁻ = (4, −1): 11 − 10; 11/2 − 10/4; last: (8 − 1) − 5.
    #expect(found.score == 1 && found.lengthNormalized == 3 && found.last == 2)
}

/// Identical responses have the score 0: they cannot displace each other.
@Test func chesOfEqualsVanishes() {
    let h = Samples<Double>(3, 4) { quarter($0, $1, 0) }
    let found = CHES(chosen: h.rows, rejected: h.rows)
    #expect(found.score == 0 && found.lengthNormalized == 0 && found.last == 0)
}
