import FPONumerics

/// A base address and the distance of rows.
struct Strided: @unchecked Sendable {
    let base: UnsafeMutablePointer<Float>
    let leadingDimension: Int

    init(_ view: some RowMajor) {
        base = view.base
        leadingDimension = view.leadingDimension
    }

    subscript(_ row: Int) -> UnsafeMutablePointer<Float> { base + row * leadingDimension }
}
