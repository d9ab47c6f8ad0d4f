import FPOObjectives
import Testing

@Test func lengthNormalizedDPOGoldenValues() {
    expectGolden(LengthNormalizedDPO(), 0.695149181, -0.002505, 0.002004)
}
