/* SGD, Adam and AdamW on your own parameters and gradients. */
#include "check.h"

enum { N = 4 };

static fpo_optimizer *create(int32_t kind, double learning_rate, double weight_decay) {
    fpo_optimizer_config config;
    fpo_optimizer *optimizer;
    check(fpo_optimizer_config_init(&config, sizeof config));
    config.kind = kind;
    config.learning_rate = learning_rate;
    config.weight_decay = weight_decay;
    check(fpo_optimizer_create(&config, N, &optimizer));
    return optimizer;
}

int main(void) {
    /* Adam's first step has length `learning_rate` in every coordinate, whatever the gradient. */
    double w[N] = {1, 1, 1, 1};
    const double gradient[N] = {3, -0.01, 100, -7};
    fpo_optimizer *adam = create(FPO_OPTIMIZER_ADAM, 0.1, 0);
    check(fpo_optimizer_step(adam, w, gradient));
    for (int i = 0; i < N; i++)
        expect_near("Adam's first step", w[i], gradient[i] > 0 ? 0.9 : 1.1, 1e-6);
    fpo_optimizer_destroy(adam);

    /* AdamW decays apart from the gradient: a zero gradient leaves (1 - rate * decay) w. */
    double v[N] = {1, 2, 3, 4};
    const double zero[N] = {0};
    fpo_optimizer *adamw = create(FPO_OPTIMIZER_ADAMW, 0.1, 0.5);
    check(fpo_optimizer_step(adamw, v, zero));
    for (int i = 0; i < N; i++) expect_near("AdamW's decay", v[i], 0.95 * (i + 1), 1e-15);
    fpo_optimizer_destroy(adamw);

    /* Gradient descent on sum_i (i + 1) x_i^2 / 2: x_i shrinks by 1 - rate (i + 1) a step. */
    double x[N] = {1, 1, 1, 1}, slope[N];
    fpo_optimizer *sgd = create(FPO_OPTIMIZER_SGD, 0.1, 0);
    for (int step = 0; step < 50; step++) {
        for (int i = 0; i < N; i++) slope[i] = (i + 1) * x[i];
        check(fpo_optimizer_step(sgd, x, slope));
    }
    for (int i = 0; i < N; i++)
        expect_near("gradient descent", x[i], pow(1 - 0.1 * (i + 1), 50), 1e-14);
    printf("after 50 steps: %.2e %.2e %.2e %.2e\n", x[0], x[1], x[2], x[3]);
    fpo_optimizer_destroy(sgd);
    fpo_optimizer_destroy(NULL);
    return 0;
}
