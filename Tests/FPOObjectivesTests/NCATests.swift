import FPOObjectives
import Testing

@Test func nCAGoldenValues() {
    expectGolden(NCA(), 1.407686828, -0.0324750996, 0.0231285077)
}
