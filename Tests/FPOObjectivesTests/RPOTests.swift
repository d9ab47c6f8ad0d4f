import FPOObjectives
import Testing

/// DPO's golden value and 42/20.
@Test func rpoIsDPOAndTheLikelihood() {
    expectGolden(RPO(), 0.718459648 + 2.1, -0.0512497396 - 0.05, 0.0512497396)
}
