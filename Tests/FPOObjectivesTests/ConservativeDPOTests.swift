import FPOObjectives
import Testing

@Test func conservativeDPOGoldenValues() {
    expectGolden(ConservativeDPO(), 0.713459648, -0.0412497396, 0.0412497396)
}
