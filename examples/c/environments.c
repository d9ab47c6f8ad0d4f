/* The linear environment of arXiv:2605.04266: without foresight the policy chases noise. */
#include "check.h"

#include <string.h>

enum { GAMES = 4 };

static fpo_simulation *create(int32_t kind) {
    static const uint64_t seeds[GAMES] = {0, 1, 2, 3};
    fpo_environment environment;
    fpo_penalty penalty;
    fpo_simulation_inputs inputs;
    fpo_simulation *simulation;
    check(fpo_environment_init(&environment, sizeof environment, FPO_CONFIG_ENVIRONMENT_LINEAR));
    check(fpo_penalty_init(&penalty, sizeof penalty, kind));
    check(fpo_simulation_inputs_init(&inputs, sizeof inputs));
    inputs.count = GAMES;
    inputs.seeds = seeds;
    check(fpo_simulation_create(&environment, &penalty, &inputs, &simulation));
    return simulation;
}

/* Plays all games to their end, a few rounds a call, and returns the mean final utility. */
static double final_utility(int32_t kind) {
    fpo_simulation *simulation = create(kind);
    int64_t records, played;
    check(fpo_simulation_records(simulation, 10, &records));
    fpo_trace trace;
    check(fpo_trace_init(&trace, sizeof trace));
    double *utility = malloc(GAMES * (size_t)records * sizeof *utility), sum = 0;
    expect("memory", utility != NULL);
    trace.utility = utility;
    do check(fpo_simulation_step(simulation, 64, 10, &trace, &played));
    while (played == 64);
    for (int i = 1; i <= GAMES; i++) sum += utility[i * records - 1];
    free(utility);
    fpo_simulation_destroy(simulation);
    return sum / GAMES;
}

/* Save, go on elsewhere: the two runs agree bit for bit. */
static void save_and_resume(void) {
    fpo_simulation *first = create(FPO_PENALTY_RELAXED), *second = create(FPO_PENALTY_RELAXED);
    static double here[GAMES * 50], there[GAMES * 50]; /* 50 dimensions */
    size_t size;
    check(fpo_simulation_step(first, 100, 10, NULL, NULL));
    check(fpo_simulation_save(first, NULL, 0, &size));
    void *bytes = malloc(size);
    expect("memory", bytes != NULL);
    check(fpo_simulation_save(first, bytes, size, NULL));
    check(fpo_simulation_load(second, bytes, size));
    check(fpo_simulation_step(first, 100, 10, NULL, NULL));
    check(fpo_simulation_step(second, 100, 10, NULL, NULL));
    check(fpo_simulation_actions(first, here));
    check(fpo_simulation_actions(second, there));
    expect("resumed = uninterrupted", memcmp(here, there, sizeof here) == 0);
    free(bytes);
    fpo_simulation_destroy(first);
    fpo_simulation_destroy(second);
}

int main(void) {
    double myopic = final_utility(FPO_PENALTY_MYOPIC);
    double practical = final_utility(FPO_PENALTY_PRACTICAL);
    double relaxed = final_utility(FPO_PENALTY_RELAXED);
    printf("final utility: myopic %.2f, practical %.2f, relaxed %.2f of 10\n", myopic, practical,
           relaxed);
    expect("foresight pays", myopic < practical && practical < relaxed && relaxed > 9);
    save_and_resume();
    return 0;
}
