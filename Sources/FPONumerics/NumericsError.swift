/// Why a computation on valid arguments could not be done.
public enum NumericsError: Error, Equatable {
    /// An allocation of this many bytes failed, or exceeds the machine's memory.
    case memory(bytes: Int)
    /// The matrix is not positive definite, as far as double precision can tell.
    case notPositiveDefinite
    /// An iteration ended with this residual, relative to the right-hand side.
    case noConvergence(iterations: Int, residual: Double)
    /// A result is beyond double precision.
    case overflow
    /// The processor lacks x86-64-v3.
    case processor
}
