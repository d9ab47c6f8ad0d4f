/* A 3-8-8-1 softplus reward model: tensors, rewards, slopes, gradients, penalties. */
#include "check.h"

enum { D = 3, N = 2 };
static const double action[N * D] = {0.5, -1, 2, 0, 0.25, -0.5};

/* The reward's slope in the action against central differences. */
static void check_slope(const fpo_reward_model *model) {
    const double step = 1e-5;
    double slope[N * D];
    check(fpo_reward_model_slope_f64(model, N, action, D, slope, D));
    for (int j = 0; j < N * D; j++) {
        double moved[N * D], up[N], down[N];
        for (int k = 0; k < N * D; k++) moved[k] = action[k];
        moved[j] = action[j] + step;
        check(fpo_reward_model_reward_f64(model, N, moved, D, up));
        moved[j] = action[j] - step;
        check(fpo_reward_model_reward_f64(model, N, moved, D, down));
        expect_near("slope", slope[j], (up[j / D] - down[j / D]) / (2 * step), 1e-8);
    }
}

/* The practical penalty |g|^2 three ways: from gradients, from the Gram matrix, directly. */
static void check_penalty(const fpo_reward_model *model, size_t p) {
    double gram[N * N], penalty[N], *g = malloc(N * p * sizeof *g);
    expect("memory", g != NULL);
    check(fpo_reward_model_gradients_f64(model, N, action, D, g, p));
    check(fpo_reward_model_gram_f64(model, N, action, D, N, action, D, gram, N));
    check(fpo_reward_model_penalty_f64(model, N, action, D, NULL, 0, NULL, NULL, 0, NULL, 0, penalty,
                                       NULL, 0));
    for (size_t i = 0; i < N; i++) {
        double square = 0;
        for (size_t k = 0; k < p; k++) square += g[i * p + k] * g[i * p + k];
        expect_near("Gram matrix", gram[i * N + i], square, 1e-12 * square);
        expect_near("practical penalty", penalty[i], square, 1e-12 * square);
        printf("practical penalty of action %d: %.6f\n", (int)i, square);
    }
    free(g);
}

int main(void) {
    const int64_t hidden[2] = {8, 8};
    int64_t count;
    fpo_reward_model *model;
    check(fpo_reward_model_create_mlp(D, 2, hidden, &model));
    check(fpo_reward_model_initialize(model, fpo_random_key(7), 0.3));
    check(fpo_reward_model_parameter_count(model, &count));
    expect("parameters of 3-8-8-1", count == 4 * 8 + 9 * 8 + 9);

    fpo_tensor tensor;
    for (int32_t i = 0; fpo_reward_model_tensor(model, i, &tensor) == FPO_OK; i++)
        printf("%-14s (%d, %d) at %d\n", tensor.name, (int)tensor.rows, (int)tensor.columns,
               (int)tensor.offset);

    check_slope(model);
    check_penalty(model, (size_t)count);

    /* A model whose labels are its own rewards has no loss, and nothing to learn. */
    double label[N], loss, *gradient = malloc((size_t)count * sizeof *gradient);
    expect("memory", gradient != NULL);
    check(fpo_reward_model_reward_f64(model, N, action, D, label));
    check(fpo_reward_model_loss_f64(model, N, action, D, NULL, 0, label, &loss, gradient));
    expect("no loss", loss == 0);
    for (int64_t k = 0; k < count; k++) expect("no gradient", gradient[k] == 0);
    free(gradient);
    fpo_reward_model_destroy(model);
    return 0;
}
