/* Log-probabilities or rewards in; losses and derivatives out. You bring the model. */
#include "check.h"

enum { N = 2 };

static void preference_losses(void) {
    const double chosen[N] = {-42, -10}, rejected[N] = {-45.5, -12};
    const double reference_chosen[N] = {-40, -10}, reference_rejected[N] = {-44, -12};
    const int64_t length[N] = {20, 4}, other_length[N] = {25, 5};
    double loss[N], d_chosen[N], d_rejected[N];
    fpo_loss config;

    check(fpo_loss_init(&config, sizeof config, FPO_LOSS_DPO));
    check(fpo_preference_loss_f64(&config, N, chosen, rejected, reference_chosen,
                                  reference_rejected, NULL, NULL, loss, d_chosen, d_rejected));
    expect_near("DPO", loss[0], 0.718459648, 1e-9);
    expect_near("DPO at the reference", loss[1], 0.6931471805599453, 1e-15);

    /* SimPO reads lengths, and no reference. */
    check(fpo_loss_init(&config, sizeof config, FPO_LOSS_SIMPO));
    config.gamma = 0.3;
    check(fpo_preference_loss_f64(&config, N, chosen, rejected, NULL, NULL, length, other_length,
                                  loss, d_chosen, d_rejected));
    printf("SimPO: %.6f, slopes %.6f %.6f\n", loss[0], d_chosen[0], d_rejected[0]);

    /* A parameter that the loss does not have is refused, not ignored. */
    config.tie = 1;
    expect("a stray parameter",
           fpo_preference_loss_f64(&config, N, chosen, rejected, NULL, NULL, length, other_length,
                                   loss, d_chosen, d_rejected) == FPO_ERR_DOMAIN);
}

static void reward_losses(void) {
    const double chosen[N] = {1.2, 3}, rejected[N] = {0.4, 3}, label[N] = {1, 0.5};
    double loss[N], d_chosen[N], d_rejected[N];
    fpo_loss config;
    check(fpo_loss_init(&config, sizeof config, FPO_LOSS_BRADLEY_TERRY));
    check(fpo_reward_loss_f64(&config, N, chosen, rejected, NULL, label, loss, d_chosen,
                              d_rejected));
    expect_near("Bradley-Terry", loss[0], 0.371100666, 1e-9);
    expect("a tie pulls nowhere", d_chosen[1] == 0 && d_rejected[1] == 0);
}

static void process_rewards(void) {
    const int64_t offset[] = {0, 2, 2};
    const double score[] = {0, 0};
    double reward[2], d_score[2];
    check(fpo_process_reward_f64(FPO_AGGREGATION_PRODUCT, 2, offset, score, reward, d_score));
    expect_near("two steps of probability 1/2", reward[0], 0.25, 1e-15);
    expect("no step, no reward", reward[1] == 0);
}

/* Two prompts, two responses each; the first pair earns the same, and teaches nothing. */
static void policy_gradients(void) {
    const double reward[] = {1, 1, 0, 3};
    const int64_t group[] = {0, 0, 1, 1}, offset[] = {0, 1, 2, 4, 5};
    const double logp[] = {-1, -2, -0.5, -0.7, -3};
    double advantage[4], token_advantage[5], statistics[3], d_logp[5];
    fpo_policy_loss config;

    check(fpo_group_advantage_f64(FPO_ADVANTAGE_RLOO, FPO_SCALE_NONE, 0, 4, reward, group, NULL,
                                  NULL, advantage));
    expect("equal rewards", advantage[0] == 0 && advantage[1] == 0);
    expect("leave one out", advantage[2] == -3 && advantage[3] == 3);
    for (int i = 0; i < 4; i++)
        for (int64_t t = offset[i]; t < offset[i + 1]; t++) token_advantage[t] = advantage[i];

    check(fpo_policy_loss_init(&config, sizeof config, FPO_POLICY_LOSS_GRPO));
    check(fpo_policy_loss_f64(&config, 4, offset, logp, NULL, NULL, token_advantage, NULL,
                              statistics, d_logp));
    expect_near("mean of sequences", d_logp[2], 3.0 / 8, 1e-15);
    expect_near("the other way", d_logp[4], -3.0 / 4, 1e-15);
}

/* A beats B, B beats C, C beats A: no response is best, a mixture is. */
static void games(void) {
    const double payoff[9] = {0, 0.1, -0.1, -0.1, 0, 0.15, 0.1, -0.15, 0};
    const double probability[3] = {0.25, 0.5, 0.25}, score[3] = {1, 2, 3};
    double row[3], column[3], value, selected[3], kl;
    check(fpo_matrix_game_f64(3, 3, payoff, 3, row, column, &value));
    expect_near("von Neumann winner", row[0], 3.0 / 7, 1e-12);
    check(fpo_best_of_n_f64(3, probability, score, 2, selected, &kl));
    expect_near("best of two", selected[2], 7.0 / 16, 1e-15);
    printf("best of two: divergence %.6f, bound %.6f\n", kl, 0.693147 - 0.5);
}

int main(void) {
    preference_losses();
    reward_losses();
    process_rewards();
    policy_gradients();
    games();
    return 0;
}
