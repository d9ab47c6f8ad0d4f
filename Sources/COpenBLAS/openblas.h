/* The few routines of OpenBLAS that the library calls: declared here, so that neither LAPACKE's
 * header nor a Fortran name-mangling convention reaches the Swift code. With FPO_BLAS_SCIPY the same
 * names stand for the prefixed symbols of the scipy-openblas32 package, which the wheel bundles. */
#ifndef FPO_COPENBLAS_H
#define FPO_COPENBLAS_H

#include <stdint.h>

#ifdef FPO_BLAS_SCIPY
#define FPO_BLAS(name) __asm__("scipy_" #name)
#else
#define FPO_BLAS(name)
#endif

/* C = alpha op(A) op(B) + beta C, and the same with B = A and one triangle of C (column-major). */
void dgemm_(const char *transa, const char *transb, const int32_t *m, const int32_t *n,
            const int32_t *k, const double *alpha, const double *a, const int32_t *lda,
            const double *b, const int32_t *ldb, const double *beta, double *c,
            const int32_t *ldc) FPO_BLAS(dgemm_);
void dsyrk_(const char *uplo, const char *trans, const int32_t *n, const int32_t *k,
            const double *alpha, const double *a, const int32_t *lda, const double *beta, double *c,
            const int32_t *ldc) FPO_BLAS(dsyrk_);

/* Cholesky factorisation and solve, LAPACK (column-major). */
void dpotrf_(const char *uplo, const int32_t *n, double *a, const int32_t *lda, int32_t *info)
    FPO_BLAS(dpotrf_);
void dpotrs_(const char *uplo, const int32_t *n, const int32_t *nrhs, const double *a,
             const int32_t *lda, double *b, const int32_t *ldb, int32_t *info) FPO_BLAS(dpotrs_);
char *openblas_get_corename(void) FPO_BLAS(openblas_get_corename);
char *openblas_get_config(void) FPO_BLAS(openblas_get_config);
void openblas_set_num_threads(int threads) FPO_BLAS(openblas_set_num_threads);

#endif
