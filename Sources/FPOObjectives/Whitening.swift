/// `(x − mean)/√(variance + 1e-8)`, with Bessel's correction; one number, or equal ones, become 0.
///
/// With `keepsMean` the mean is added again. Leave padding out instead of masking it.
public enum Whitening {
    public static func evaluate(
        count n: Int, _ x: UnsafePointer<Double>, keepsMean: Bool,
        into y: UnsafeMutablePointer<Double>
    ) {
        guard n > 0 else { return }
        var sum = 0.0, least = x[0], greatest = x[0]
        for i in 0..<n {
            sum += x[i] - x[0]
            least = min(least, x[i])
            greatest = max(greatest, x[i])
        }
        let first = x[0], shift = sum / Double(n)
        guard least < greatest else {
            for i in 0..<n { y[i] = keepsMean ? first : 0 }
            return
        }
        var squares = 0.0
        for i in 0..<n {
            let d = (x[i] - first) - shift
            squares += d * d
        }
        let scale = 1 / (squares / Double(n - 1) + 1e-8).squareRoot()
        for i in 0..<n {
            y[i] = ((x[i] - first) - shift) * scale + (keepsMean ? first + shift : 0)
        }
    }
}
