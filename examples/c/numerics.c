/* Elementary functions on arrays, positive definite solves, ridge regression around the mean. */
#include "check.h"

enum { N = 5, SAMPLES = 40, D = 3 };

static void elementary_functions(void) {
    const double x[N] = {-30, -1, 0, 0.5, 30};
    double y[N];
    check(fpo_softplus_f64(N, x, y));
    for (int i = 0; i < N; i++) expect_near("softplus", y[i], log1p(exp(x[i])), 1e-13 * (1 + y[i]));
    check(fpo_sigmoid_f64(N, x, y));
    for (int i = 0; i < N; i++) expect_near("sigmoid", y[i], 1 / (1 + exp(-x[i])), 1e-15);
    check(fpo_log_f64(N, y, y)); /* in place */
    for (int i = 0; i < N; i++) expect_near("log sigmoid", y[i], -log1p(exp(-x[i])), 1e-13 * 30);
}

/* A = tridiagonal (-1, 2, -1), whose solution for b = (1, 0, 0, 0, 1) is all ones. */
static void solves(void) {
    double a[N * N] = {0}, b[N] = {1, 0, 0, 0, 1}, x[N];
    int64_t iterations;
    for (int i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i > 0) a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    check(fpo_cholesky_solve_f64(N, 1, a, N, b, 1, x, 1));
    for (int i = 0; i < N; i++) expect_near("Cholesky solution", x[i], 1, 1e-14);
    check(fpo_conjugate_gradient_f64(N, a, N, b, 1e-12, 100, x, &iterations));
    for (int i = 0; i < N; i++) expect_near("conjugate gradient solution", x[i], 1, 1e-11);
    expect("at most n iterations in exact arithmetic", iterations <= N + 1);
    printf("conjugate gradient: %d iterations\n", (int)iterations);

    a[0] = -2;
    expect("an indefinite matrix is reported",
           fpo_cholesky_solve_f64(N, 1, a, N, b, 1, x, 1) == FPO_ERR_SINGULAR);
}

/* Labels that are exactly linear: the ridge finds the slope up to kappa. */
static void ridge(void) {
    const double slope[D] = {1.5, -2, 0.25};
    double x[SAMPLES * D], u[SAMPLES], coefficients[D], mean_x[D], mean_u;
    check(fpo_random_normal_f64(fpo_random_key(1), SAMPLES * D, x));
    for (int i = 0; i < SAMPLES; i++) {
        u[i] = 7;
        for (int j = 0; j < D; j++) u[i] += x[i * D + j] * slope[j];
    }
    check(fpo_ridge_f64(SAMPLES, D, x, D, u, 1e-9, coefficients, mean_x, &mean_u));
    for (int j = 0; j < D; j++) expect_near("ridge coefficient", coefficients[j], slope[j], 1e-9);
    double intercept = mean_u;
    for (int j = 0; j < D; j++) intercept -= mean_x[j] * coefficients[j];
    expect_near("ridge intercept", intercept, 7, 1e-9);
    printf("ridge: slope (%.3f, %.3f, %.3f)\n", coefficients[0], coefficients[1], coefficients[2]);
}

int main(void) {
    elementary_functions();
    solves();
    ridge();
    return 0;
}
