import FPONumerics
import FPOTestSupport
import Testing

/// Outputs and gradients of a layer, by torch in float64 (Tests/Golden/transformer_layers.py).
func expected(_ layer: String) throws -> [[Double]] {
    try #require(golden("transformer_layers", as: [String: [[Double]]].self)[layer])
}

/// The direction along which the gradients are.
func slope(_ count: Int, rows: Int) -> Matrix<Float> { floats(wave(99, count), rows: rows) }

/// A gradient that holds something already.
func ones(_ count: Int, rows: Int = 1) -> Matrix<Float> {
    floats([Double](repeating: 1, count: count), rows: rows)
}

func added(_ gradient: Matrix<Float>) -> [Double] { gradient.doubles.map { $0 - 1 } }
