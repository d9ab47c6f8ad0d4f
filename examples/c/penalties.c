/* You bring per-sample gradients of your own reward model; the library returns penalties. */
#include "check.h"

enum { N = 3, P = 4 };

/* Gradients of three samples, and those of their references. */
static const double g[N * P] = {1, 0, 2, 0, 0, 1, 0, 1, 3, 1, 0, 0};
static const double g0[N * P] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};

static void practical_and_relaxed(void) {
    double penalty[N], e[N];
    const double reward[N] = {2, 1, 0.5}, label[N] = {1.5, 1, 1};

    /* Squared error: P = |g|^2, the self-influence of the sample. */
    check(fpo_practical_penalty_f64(N, P, g, P, NULL, 0, 0, penalty));
    expect("practical", penalty[0] == 5 && penalty[1] == 2 && penalty[2] == 10);

    /* Bradley-Terry against a reference: v = g - g0. */
    check(fpo_practical_penalty_f64(N, P, g, P, g0, P, 0, penalty));
    expect("practical, pairwise", penalty[0] == 4 && penalty[1] == 2 && penalty[2] == 6);
    check(fpo_practical_penalty_f64(N, P, g, P, g0, P, 1, penalty));
    expect("practical, shift-invariant", penalty[0] == 4 && penalty[1] == 2 && penalty[2] == 6);

    check(fpo_overconfidence_f64(N, reward, NULL, label, e));
    expect("overconfidence", e[0] == 0.5 && e[1] == 0 && e[2] == -0.5);
    check(fpo_relaxed_penalty_f64(N, P, g, P, NULL, 0, e, penalty));
    expect("relaxed", penalty[0] == 2.5 && penalty[1] == 0 && penalty[2] == -5);
}

/* One parameter by hand: g = 2, e = 1/2, delta = 1: P = e g (g^2 + delta)^-1 g = 0.4. */
static void exact(void) {
    const double one = 2, half = 0.5, e[N] = {0.5, -1, 2};
    double penalty[N], other[N];
    check(fpo_exact_penalty_f64(1, 1, &one, 1, NULL, 0, &half, NULL, NULL, 1, FPO_SOLVER_GRAM, 0, 0,
                                penalty));
    expect_near("exact by hand", penalty[0], 0.4, 1e-15);

    check(fpo_exact_penalty_f64(N, P, g, P, g0, P, e, NULL, NULL, 0.1, FPO_SOLVER_GRAM, 0, 0,
                                penalty));
    check(fpo_exact_penalty_f64(N, P, g, P, g0, P, e, NULL, NULL, 0.1, FPO_SOLVER_CONJUGATE_GRADIENT,
                                1e-12, 100, other));
    for (int i = 0; i < N; i++) expect_near("Gram form = matrix-free form", other[i], penalty[i], 1e-8);
    printf("exact: %.6f %.6f %.6f\n", penalty[0], penalty[1], penalty[2]);
}

static void influence(void) {
    double own[N], pairs[N * N];
    check(fpo_self_influence_f64(N, P, g, P, 0.1, own));
    check(fpo_influence_f64(N, N, P, g, P, g, P, 0.1, pairs, N));
    for (int i = 0; i < N; i++) {
        expect_near("self-influence is the diagonal", own[i], pairs[i * N + i], 1e-15);
        for (int j = 0; j < N; j++) expect("symmetry", pairs[i * N + j] == pairs[j * N + i]);
    }
}

int main(void) {
    practical_and_relaxed();
    exact();
    influence();
    return 0;
}
