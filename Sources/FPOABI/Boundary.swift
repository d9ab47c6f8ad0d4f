import CFPO
import CShims
import FPONumerics

/// What a C function returns instead of `FPO_OK`, and what `fpo_last_error` then says.
///
/// Everything that a caller can pass is checked here, before a Swift index touches it: a Swift
/// trap would end the caller's process.
struct Failure: Error {
    let status: Int32
    let message: String

    init(_ status: Int, _ message: String) {
        self.status = Int32(status)
        self.message = message
    }
}

/// Runs the body of a C function and turns a `Failure` into its status.
func boundary(_ body: () throws(Failure) -> Void) -> Int32 {
    do throws(Failure) {
        try body()
        return 0
    } catch {
        remember(error.message)
        return error.status
    }
}

/// Stores `text` as this thread's last error, cut to what the buffer holds.
private func remember(_ text: String) {
    let buffer = fpo_message()!
    let capacity = Int(fpo_message_capacity) - 1
    var count = 0
    for byte in text.utf8 {
        guard count < capacity else { break }
        buffer[count] = CChar(bitPattern: byte)
        count += 1
    }
    buffer[count] = 0
}

func require(
    _ condition: Bool, _ status: Int, _ message: @autoclosure () -> String
) throws(Failure) {
    guard condition else { throw Failure(status, message()) }
}

/// The pointer, or `FPO_ERR_NULL` with the argument's name.
func unwrap<Pointer>(_ pointer: Pointer?, _ name: String) throws(Failure) -> Pointer {
    guard let pointer else { throw Failure(FPO_ERR_NULL, "\(name): NULL") }
    return pointer
}

/// Runs a computation, and says what its error means for the C caller.
func attempt<Result: ~Copyable>(
    _ body: () throws(NumericsError) -> Result
) throws(Failure) -> Result {
    do throws(NumericsError) {
        return try body()
    } catch {
        switch error {
        case .memory(let bytes):
            throw Failure(FPO_ERR_MEMORY, "\(bytes) bytes of memory are not to be had")
        case .notPositiveDefinite:
            throw Failure(
                FPO_ERR_SINGULAR, "the matrix is not positive definite in double precision")
        case .noConvergence(let iterations, let residual):
            throw Failure(
                FPO_ERR_CONVERGENCE,
                "no convergence: relative residual \(residual) after \(iterations) iterations")
        case .overflow:
            throw Failure(
                FPO_ERR_NONFINITE, "the result is beyond double precision; nothing was changed")
        case .processor:
            throw Failure(
                FPO_ERR_CPU, "this processor lacks x86-64-v3 (AVX2 and FMA), or FPO_CPU_LEVEL is 2")
        }
    }
}

/// `FPO_ERR_MEMORY` for what the machine cannot hold.
func requireMemory(_ bytes: Int, _ what: @autoclosure () -> String) throws(Failure) {
    try require(
        bytes <= machineMemory, FPO_ERR_MEMORY,
        "\(what()) take \(bytes) bytes of memory, but the machine has \(machineMemory)")
}

// MARK: Numbers

/// Bytes of a process's address space: no array is longer.
private let addressSpace = 1 << 47

/// A size within what an array of `stride`-byte elements can have. C's `size_t` comes as `Int`:
/// what exceeds `Int.max` is negative here.
func requireSize(_ n: Int, _ name: String, stride: Int = 8) throws(Failure) {
    try require(
        n >= 0 && n <= addressSpace / stride, FPO_ERR_MEMORY,
        "\(name): \(UInt(bitPattern: n)) elements are more than memory can hold")
}

func requireFinite(_ x: Double, _ name: String) throws(Failure) {
    try require(x.isFinite, FPO_ERR_NONFINITE, "\(name): \(x), but must be finite")
}

/// Finite and `> 0`.
func requirePositive(_ x: Double, _ name: String) throws(Failure) {
    try requireFinite(x, name)
    try require(x > 0, FPO_ERR_DOMAIN, "\(name): \(x), but must be > 0")
}

/// Finite and `>= 0`.
func requireNonnegative(_ x: Double, _ name: String) throws(Failure) {
    try requireFinite(x, name)
    try require(x >= 0, FPO_ERR_DOMAIN, "\(name): \(x), but must be >= 0")
}

func requireFlag(_ x: Int32, _ name: String) throws(Failure) {
    try require(x == 0 || x == 1, FPO_ERR_DOMAIN, "\(name): \(x), but must be 0 or 1")
}

// MARK: Arrays

/// Sizes and the leading dimension of a row-major array; the last element's offset is an `Int`.
private func requireShape(
    _ rows: Int, _ columns: Int, _ leadingDimension: Int, _ name: String, stride: Int
) throws(Failure) {
    try requireSize(rows, "rows of \(name)", stride: stride)
    try requireSize(columns, "columns of \(name)", stride: stride)
    try require(
        UInt(bitPattern: leadingDimension) >= UInt(columns), FPO_ERR_SHAPE,
        "\(name): leading dimension \(leadingDimension), but must be at least the number of "
            + "columns, \(columns)")
    let (extent, overflow) = rows.multipliedReportingOverflow(by: leadingDimension)
    try require(
        leadingDimension >= 0 && !overflow && extent <= addressSpace / stride, FPO_ERR_MEMORY,
        "\(name): \(rows) rows with leading dimension \(UInt(bitPattern: leadingDimension)) are "
            + "more than memory can hold")
}

/// A pointer that nothing is read from or written to.
private func empty<Element>(_: Element.Type) -> UnsafeMutablePointer<Element> {
    UnsafeMutablePointer(bitPattern: MemoryLayout<Element>.alignment)!
}

/// The input as a view, if its shape can be and it is not NULL; empty arrays may be NULL.
func input<Element>(
    _ pointer: UnsafePointer<Element>?, _ rows: Int, _ columns: Int, ld: Int, _ name: String
) throws(Failure) -> Rows<Element> {
    try requireShape(rows, columns, ld, name, stride: MemoryLayout<Element>.stride)
    let isEmpty = rows == 0 || columns == 0
    let base = try isEmpty ? UnsafePointer(empty(Element.self)) : unwrap(pointer, name)
    return Rows(base: base, count: rows, columns: columns, leadingDimension: ld)
}

/// The same, and every element is finite.
func finiteInput<Element: KernelElement>(
    _ pointer: UnsafePointer<Element>?, _ rows: Int, _ columns: Int, ld: Int, _ name: String
) throws(Failure) -> Rows<Element> {
    let view = try input(pointer, rows, columns, ld: ld, name)
    try requireFinite(view.base, rows, columns, ld, name)
    return view
}

/// A vector of finite elements.
func finiteInput<Element: KernelElement>(
    _ pointer: UnsafePointer<Element>?, count: Int, _ name: String
) throws(Failure) -> UnsafePointer<Element> {
    try finiteInput(pointer, 1, count, ld: count, name).base
}

/// The output, if its shape can be and it is not NULL; empty arrays may be NULL.
func output<Element>(
    _ pointer: UnsafeMutablePointer<Element>?, _ rows: Int, _ columns: Int, ld: Int,
    _ name: String
) throws(Failure) -> UnsafeMutablePointer<Element> {
    try requireShape(rows, columns, ld, name, stride: MemoryLayout<Element>.stride)
    return try rows == 0 || columns == 0 ? empty(Element.self) : unwrap(pointer, name)
}

func output<Element>(
    _ pointer: UnsafeMutablePointer<Element>?, count: Int, _ name: String
) throws(Failure) -> UnsafeMutablePointer<Element> {
    try output(pointer, 1, count, ld: count, name)
}

/// `FPO_ERR_NONFINITE` with the position of the first NaN or infinity of a row-major array.
func requireFinite<Element: KernelElement>(
    _ pointer: UnsafePointer<Element>, _ rows: Int, _ columns: Int, _ ld: Int, _ name: String
) throws(Failure) {
    guard columns > 0 else { return }
    let dot = Element.kernelTable?.dot
    for i in 0..<rows {
        let row = pointer + i * ld
        // A finite sum of squares has finite terms; only the others are worth a look.
        if let dot, dot(columns, row, row).isFinite { continue }
        for j in 0..<columns where !row[j].isFinite {
            let position = rows == 1 ? "[\(j)]" : "[\(i), \(j)]"
            throw Failure(FPO_ERR_NONFINITE, "\(name)\(position): \(row[j]), but must be finite")
        }
    }
}
