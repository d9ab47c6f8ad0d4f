public import FPONumerics
import Foundation

/// `sin(0.7 i + 0.013 i² + salt)`: the inputs of Tests/Golden/transformer_layers.py.
public func wave(_ salt: Double, _ count: Int) -> [Double] {
    (0..<count).map { i in
        let t = Double(i)
        return sin(0.7 * t + 0.013 * t * t + salt)
    }
}

/// A matrix of floats that is never freed: views of it may outlive the test's scope.
public func floats(_ values: [Double], rows: Int = 1) -> Matrix<Float> {
    let base = UnsafeMutablePointer<Float>.allocate(capacity: max(values.count, 1))
    for (i, value) in values.enumerated() { base[i] = Float(value) }
    return Matrix(base: base, rows: rows, columns: rows > 0 ? values.count / rows : 0)
}

extension Matrix where S == Float {
    public var doubles: [Double] { (0..<count).map { Double(base[$0]) } }
}
