import FPOObjectives
import Testing

@Test func sPPOGoldenValues() {
    expectGolden(SPPO(), 61.25, -14.0, 7.0)
}
