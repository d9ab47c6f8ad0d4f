/* A program compiled against an older fpo.h, whose structs ended earlier, and one against a newer
 * header, whose structs go on. The library fills and reads only what the caller has, and refuses
 * what it does not know instead of ignoring it. */
#include <fpo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(const char *what, int holds) {
    if (holds) return;
    fprintf(stderr, "%s does not hold (%s)\n", what, fpo_last_error());
    exit(1);
}

/* fpo_environment as an older header might have declared it: up to `rounds`. */
enum { OLD_SIZE = offsetof(fpo_environment, inner_steps) };
static void older_client(void) {
    struct { fpo_environment environment; unsigned char canary[64]; } old;
    unsigned char *bytes = (unsigned char *)&old;
    memset(bytes, 0xA5, sizeof old);
    expect("an older struct is filled",
           fpo_environment_init(&old.environment, OLD_SIZE, FPO_CONFIG_ENVIRONMENT_LINEAR) == FPO_OK);
    expect("its size is recorded", old.environment.struct_size == OLD_SIZE);
    for (size_t i = OLD_SIZE; i < sizeof old; i++)
        expect("nothing is written past its end", bytes[i] == 0xA5);

    /* The rest takes its defaults: the game runs, with the number of rounds that was asked for. */
    const uint64_t seed = 1;
    fpo_penalty penalty;
    fpo_simulation_inputs inputs;
    fpo_simulation *simulation = NULL;
    int64_t played = 0;
    old.environment.rounds = 12;
    expect("penalty", fpo_penalty_init(&penalty, sizeof penalty, FPO_PENALTY_PRACTICAL) == FPO_OK);
    expect("inputs", fpo_simulation_inputs_init(&inputs, sizeof inputs) == FPO_OK);
    inputs.count = 1;
    inputs.seeds = &seed;
    expect("an older struct is accepted",
           fpo_simulation_create(&old.environment, &penalty, &inputs, &simulation) == FPO_OK);
    expect("the game runs", fpo_simulation_step(simulation, 100, 1, NULL, &played) == FPO_OK);
    expect("it has 12 rounds", played == 12);
    fpo_simulation_destroy(simulation);
}

static void newer_client(void) {
    struct { fpo_optimizer_config config; double added[2]; } newer;
    fpo_optimizer *optimizer = NULL;
    memset(&newer, 0xA5, sizeof newer);
    expect("a newer struct is filled",
           fpo_optimizer_config_init(&newer.config, sizeof newer) == FPO_OK);
    expect("its unknown tail is zero", newer.added[0] == 0 && newer.added[1] == 0);
    expect("its size is recorded", newer.config.struct_size == sizeof newer);
    expect("an unused tail is accepted",
           fpo_optimizer_create(&newer.config, 3, &optimizer) == FPO_OK);
    fpo_optimizer_destroy(optimizer);

    optimizer = NULL;
    newer.added[1] = 0.5;
    expect("a field that the library does not know is refused",
           fpo_optimizer_create(&newer.config, 3, &optimizer) == FPO_ERR_ABI);
    expect("and no handle is made", optimizer == NULL);
}

static void broken_client(void) {
    fpo_penalty penalty;
    fpo_optimizer *optimizer = NULL;
    fpo_optimizer_config config;
    expect("init refuses size 0", fpo_penalty_init(&penalty, 0, FPO_PENALTY_EXACT) == FPO_ERR_ABI);
    expect("config", fpo_optimizer_config_init(&config, sizeof config) == FPO_OK);
    config.struct_size = 0;
    expect("create refuses size 0", fpo_optimizer_create(&config, 3, &optimizer) == FPO_ERR_ABI);
    expect("and no handle is made", optimizer == NULL);
}

int main(void) {
    expect("the ABI is the header's", fpo_abi_version() >> 16 == FPO_ABI_MAJOR);
    older_client();
    newer_client();
    broken_client();
    return 0;
}
