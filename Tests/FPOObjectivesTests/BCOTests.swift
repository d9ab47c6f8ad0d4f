import FPOObjectives
import Testing

@Test func bCOGoldenValues() {
    expectGolden(BCO(), 1.419095917, -0.0549833997, 0.0462570155)
}
