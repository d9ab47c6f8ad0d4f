import FPOModels
import FPONumerics
import FPOTestSupport
import Testing

@Suite struct RewardModelTests {
    /// The verbs on a tape: derivatives against differences, ghost products against gradients.
    @Test(arguments: RewardGolden.all)
    func verbsOfATape(_ golden: RewardGolden) throws {
        let e = try RewardExample(golden, Double.self)
        func open<Model: SmoothRewardModel<Double>>(_ model: Model) throws {
            var arena = try Arena<Double>(capacity: 60_000)
            let n = RewardExample<Double>.n, d = model.dimension, p = model.layout.count
            func record(_ arena: inout Arena<Double>) -> Model.Tape {
                let tape = model.forward(e.actions, parameters: e.parameters, arena: &arena)
                model.backward(tape, parameters: e.parameters)
                return tape
            }
            let before = arena.peak
            let tape = record(&arena)
            #expect(arena.peak - before == n * model.tapeCount)

            let gradients = arena.matrix(n, p), products = arena.matrix(n, 1)
            let along = arena.matrix(n, 1)
            for i in 0..<n { model.gradient(dParameters: gradients.row(i), row: i, tape: tape) }
            model.gradientDot(products, scale: 1, tape, tape)
            model.gradientDot(along, scale: 1, tape, along: e.direction)
            for i in 0..<n {
                let g = gradients.row(i)
                #expect(relativeError([products[i, 0]], [dot(p, g.base, g.base)]) < 1e-12)
                #expect(relativeError([along[i, 0]], [dot(p, g.base, e.direction.base)]) < 1e-12)
            }

            let mixed = arena.matrix(n, d)
            model.mixedDerivative(
                dInput: mixed, along: e.direction, tape: tape, parameters: e.parameters,
                arena: &arena)
            #expect(relativeError(mixed.elements, golden.mixed) < 1e-12)
            let expected = numericalGradient(at: e.actions) {
                arena.scope { arena in
                    let tape = record(&arena), out = arena.matrix(n, 1)
                    model.gradientDot(out, scale: 1, tape, along: e.direction)
                    return out.elements.reduce(0, +)
                }
            }
            #expect(relativeError(mixed.elements, expected) < 1e-7)

            let every = golden.parameterCount > 100 ? 60 : 1
            for j in stride(from: 0, to: p, by: every) {
                let expected = numericalGradient(
                    at: Matrix(base: e.parameters.base + j, rows: 1, columns: 1)
                ) {
                    arena.scope { arena in
                        model.reward(record(&arena)).elements.reduce(0, +)
                    }
                }
                let sum = (0..<n).reduce(0.0) { $0 + gradients[$1, j] }
                #expect(relativeError([sum], expected, floor: 1e-2) < 1e-8)
            }
        }
        try open(e.model)
    }
}
