import FPOObjectives
import Testing

@Test func cPOGoldenValues() {
    expectGolden(CPO(), 2.633382155, -0.0913382421, 0.0413382421)
}
