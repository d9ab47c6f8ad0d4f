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

int main(void) {
    preference_losses();
    reward_losses();
    process_rewards();
    return 0;
}
