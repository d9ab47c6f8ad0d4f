/* The few routines of OpenBLAS that the library calls: declared here, so that neither LAPACKE's
 * header nor a Fortran name-mangling convention reaches the Swift code. FPO_BLAS_SCIPY selects the
 * prefixed symbols of the scipy-openblas32 package, which the wheel bundles. */
#ifndef FPO_COPENBLAS_H
#define FPO_COPENBLAS_H

#include <stdint.h>

#ifdef FPO_BLAS_SCIPY
#define FPO_BLAS(name) scipy_##name
#else
#define FPO_BLAS(name) name
#endif

/* Cholesky factorisation and solve, LAPACK (column-major). */
void FPO_BLAS(dpotrf_)(const char *uplo, const int32_t *n, double *a, const int32_t *lda,
                       int32_t *info);
void FPO_BLAS(dpotrs_)(const char *uplo, const int32_t *n, const int32_t *nrhs, const double *a,
                       const int32_t *lda, double *b, const int32_t *ldb, int32_t *info);
char *FPO_BLAS(openblas_get_corename)(void);
char *FPO_BLAS(openblas_get_config)(void);
void FPO_BLAS(openblas_set_num_threads)(int threads);

#endif
