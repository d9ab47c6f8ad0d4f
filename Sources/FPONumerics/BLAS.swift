import COpenBLAS

/// What OpenBLAS says about itself.
public enum BLAS {
    /// Version and build options.
    public static let configuration = String(cString: openblas_get_config())
    /// The processor whose kernels it chose.
    public static let core = String(cString: openblas_get_corename())
}
