import FPOModels
import FPONumerics
import Testing

@Suite struct ParameterStoreTests {
    @Test func namesAndShapesAreTorchs() throws {
        let mlp = try MLPReward<Float>(dimension: 10, hidden: [32, 16]).layout
        #expect(
            mlp.tensors.map(\.name) == [
                "net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias", "net.4.weight",
                "net.4.bias",
            ])
        #expect(mlp.tensors.map(\.rows) == [32, 32, 16, 16, 1, 1])
        #expect(mlp.tensors.map(\.columns) == [10, 1, 32, 1, 16, 1])
        #expect(mlp.tensors.map(\.offset) == [0, 320, 352, 864, 880, 896])
        #expect(mlp.count == 897)
        let linear = try LinearReward<Float>(dimension: 7).layout
        #expect(linear.tensors.map(\.name) == ["weight", "bias"])
        #expect(linear.tensors.map(\.offset) == [0, 7])
        let unbiased = try LinearReward<Float>(dimension: 7, bias: false).layout
        #expect(unbiased.count == 7)
    }

    @Test func absurdSizesAreRefused() {
        for (dimension, hidden) in [(Int.max, [2]), (1, [Int.max, Int.max]), (1 << 27, [1])] {
            #expect(throws: NumericsError.self) {
                try MLPReward<Double>(dimension: dimension, hidden: hidden)
            }
        }
    }

    @Test func weightsAreDrawnAndBiasesAreZero() throws {
        let store = try ParameterStore<Double>(MLPReward<Double>(dimension: 2, hidden: [3]).layout)
        store.initialize(scale: 0.5) { count, out in
            for i in 0..<count { out[i] = Double(i + 1) }
        }
        let expected = [0.5, 1, 1.5, 2, 2.5, 3, 0, 0, 0, 5, 5.5, 6, 0]
        #expect((0..<13).map { store.values[0, $0] } == expected)
    }
}
