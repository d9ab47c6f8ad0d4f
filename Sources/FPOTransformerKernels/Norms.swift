import FPOKernelTypes

func add(_ n: Int, _ s: Float, _ x: Input, _ y: Output) {
    update(n, x, x, x, y) { x, _, _, y in fma(x, all(s), y) }
}

func rms(_ n: Int, _ epsilon: Float, _ x: Input, _ w: Input, _ y: Output) -> Float {
    let s = 1 / (sum(n, x) { $0 * $0 } / Float(n) + epsilon).squareRoot()
    update(n, x, w, x, y) { x, w, _, _ in x * s * w }
    return s
}

func rmsBackward(_ n: Int, _ s: Float, _ x: Input, _ w: Input, _ dy: Input, _ dx: Output) {
    let mean = sum(n, x, w, dy) { $0 * ($1 * $2) } / Float(n)
    let factor = mean * s * s
    update(n, x, w, dy, dx) { x, w, dy, dx in fma(fma(x, all(-factor), w * dy), all(s), dx) }
}

func layerNorm(
    _ n: Int, _ epsilon: Float, _ x: Input, _ w: Input, _ b: Input?, _ y: Output
) -> (Float, Float) {
    let mean = sum(n, x) { $0 } / Float(n)
    var sums = Sums()
    vectors(
        n,
        {
            let c = load(x + $0) - mean
            sums.add($0, c * c)
        },
        {
            // The padding of the last vector is the mean, to the same end as zeros elsewhere.
            let c = load1(x + $0, $1, mean) - mean
            sums.add($0, c * c)
        })
    let s = 1 / (sums.total / Float(n) + epsilon).squareRoot()
    if let b {
        update(n, x, w, b, y) { x, w, b, _ in fma((x - mean) * s, w, b) }
    } else {
        update(n, x, w, w, y) { x, w, _, _ in (x - mean) * s * w }
    }
    return (mean, s)
}

@inline(__always)
private func load1(_ p: Input, _ n: Int, _ padding: Float) -> Lanes {
    var v = all(padding)
    for i in 0..<n { v[i] = p[i] }
    return v
}

func layerNormBackward(
    _ n: Int, _ mean: Float, _ s: Float, _ x: Input, _ w: Input, _ dy: Input, _ dx: Output
) {
    let a = sum(n, w, dy, dy) { w, dy, _ in w * dy } / Float(n)
    let b = sum(n, x, w, dy) { x, w, dy in (x - mean) * s * (w * dy) } / Float(n)
    update(n, x, w, dy, dx) { x, w, dy, dx in
        fma(fma((x - mean) * s, all(-b), w * dy - a), all(s), dx)
    }
}

func addCentredProduct(_ n: Int, _ mean: Float, _ s: Float, _ x: Input, _ dy: Input, _ y: Output) {
    update(n, x, dy, x, y) { x, dy, _, y in fma((x - mean) * s, dy, y) }
}
