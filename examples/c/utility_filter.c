/* The residual penalty for your own policy and reward model: a policy that never sees the utility
 * climbs an estimate of it, made from labels of its own actions. */
#include "check.h"

enum { D = 2, LABELS = 4, ROUNDS = 200 };

static double utility(const double *y) {
    const double u = y[0] - 1, v = y[1] + 0.5;
    return 3 - u * u - v * v;
}

int main(void) {
    fpo_utility_filter_config config;
    fpo_utility_filter *filter;
    double policy[D] = {0, 0};
    check(fpo_utility_filter_config_init(&config, sizeof config));
    check(fpo_utility_filter_create(&config, D, policy, 0, NULL, &filter));

    /* Label what the policy does, estimate, climb the estimate. */
    const double step[LABELS][D] = {{0.1, 0}, {-0.1, 0}, {0, 0.1}, {0, -0.1}};
    for (int round = 0; round < ROUNDS; round++) {
        double x[LABELS][D], label[LABELS], estimate, slope[D];
        for (int i = 0; i < LABELS; i++) {
            for (int j = 0; j < D; j++) x[i][j] = policy[j] + step[i][j];
            label[i] = utility(x[i]);
        }
        check(fpo_utility_filter_move(filter, policy));
        check(fpo_utility_filter_observe(filter, LABELS, x[0], D, label));
        check(fpo_utility_filter_estimate(filter, 1, policy, D, &estimate, slope, D));
        for (int j = 0; j < D; j++) policy[j] += 0.05 * slope[j];
    }
    expect_near("the policy's first coordinate", policy[0], 1, 1e-3);
    expect_near("the policy's second coordinate", policy[1], -0.5, 1e-3);

    /* A reward model that overrates the ideal by 2, with gradient (1, 2) in its parameters, pays. */
    double level, slope[D], noise, penalty;
    check(fpo_utility_filter_state(filter, &level, slope, NULL, &noise));
    expect_near("the level at the policy", level, 3, 1e-2);
    const double gradient[2] = {1, 2}, overconfidence = 5 - level;
    check(fpo_relaxed_penalty_f64(1, 2, gradient, 2, NULL, 0, &overconfidence, &penalty));
    expect_near("the residual penalty", penalty, 2 * 5, 0.1);
    printf("policy %.4f %.4f, estimated utility %.4f, noise %.1e, penalty %.3f\n", policy[0],
           policy[1], level, noise, penalty);
    fpo_utility_filter_destroy(filter);
    return 0;
}
