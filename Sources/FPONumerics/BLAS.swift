import COpenBLAS

/// OpenBLAS: what it says about itself, and how it is used.
public enum BLAS {
    /// To be touched before a call. OpenBLAS's own threads stay out: they would change the order
    /// of sums.
    static let singleThreaded: Void = openblas_set_num_threads(1)

    /// Version and build options.
    public static let configuration = String(cString: openblas_get_config())
    /// The processor whose kernels it chose.
    public static let core = String(cString: openblas_get_corename())
}
