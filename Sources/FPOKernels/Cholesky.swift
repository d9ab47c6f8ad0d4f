// Cholesky factors of many small matrices at once, one matrix to a lane. `a` is (n, n) with
// `stride` vectors to a row; its lower triangle becomes L of A = L Lᵀ, with the inverses of the
// pivots on the diagonal. Where A is not positive definite the result is NaN.

@inline(never)
func choleskyFactor(_ a: LanePointer, _ n: Int, stride: Int) {
    for j in 0..<n {
        let row = a + j &* stride
        for k in 0..<j {
            let other = a + k &* stride
            row[k] = (row[k] - dot(k, row, other)) * other[k]
        }
        row[j] = 1 / squareRoot(row[j] - dot(j, row, row))
    }
}

/// Solves `L Lᵀ x = b` in place, for the factor above.
@inline(never)
func choleskySolve(_ a: LanePointer, _ n: Int, stride: Int, _ x: LanePointer) {
    for i in 0..<n {
        let row = a + i &* stride
        x[i] = (x[i] - dot(i, row, x)) * row[i]
    }
    var i = n &- 1
    while i >= 0 {
        var sum = x[i]
        for k in (i &+ 1)..<max(n, i &+ 1) { sum = fma(-a[k &* stride &+ i], x[k], sum) }
        x[i] = sum * a[i &* stride &+ i]
        i &-= 1
    }
}
