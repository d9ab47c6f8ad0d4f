import FPOObjectives
import Testing

@Test func aPOGoldenValues() {
    expectGolden(APOZero(), 1.012404152, -0.0247516573, 0.0248599007)
    expectGolden(APODown(), 0.962663399, -0.0002327242, 0.0249843815)
}
