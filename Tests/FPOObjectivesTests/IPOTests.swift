import FPOObjectives
import Testing

@Test func iPOGoldenValues() {
    expectGolden(IPO(), 30.25, -11.0, 11.0)
    expectGolden(MeanIPO(), 25.4016, -0.504, 0.4032)
}
