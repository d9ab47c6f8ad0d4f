/* A small random Llama: weights by name, likelihoods, a LoRA step, sampled continuations. */
#include "check.h"

#include <string.h>

enum { VOCABULARY = 50, HIDDEN = 16, LENGTH = 6, NEW = 5, CANDIDATES = 3 };

static fpo_language_model *create(void) {
    fpo_language_model_config config;
    fpo_language_model *model;
    check(fpo_language_model_config_init(&config, sizeof config));
    config.storage = FPO_STORAGE_FLOAT32;
    config.vocab_size = VOCABULARY;
    config.hidden_size = HIDDEN;
    config.intermediate_size = 24;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.max_position_embeddings = 32;
    config.tie_word_embeddings = 1;
    check(fpo_language_model_create(&config, &model));
    return model;
}

/* What a checkpoint would hold: normal draws, and ones for the norms. */
static void load(fpo_language_model *model) {
    static float data[VOCABULARY * HIDDEN];
    fpo_tensor tensor;
    for (int32_t i = 0; fpo_language_model_tensor(model, i, &tensor) == FPO_OK; i++) {
        size_t count = (size_t)(tensor.rows * tensor.columns);
        check(fpo_random_normal_f32(fpo_random_fold(7, (uint64_t)i), count, data));
        for (size_t j = 0; j < count; j++)
            data[j] = strstr(tensor.name, "norm") ? 1.0f : 0.3f * data[j];
        check(fpo_language_model_load(model, tensor.name, tensor.rows, tensor.columns, 0,
                                      tensor.rows, FPO_ELEMENT_FLOAT32, data,
                                      (size_t)tensor.columns));
    }
}

/* Gradient descent raises the likelihood of what it is trained on. */
static void train(fpo_lora *lora, const int64_t *offsets, const int32_t *tokens) {
    const double weights[2 * LENGTH] = {0, .1, .1, .1, .1, .1, 0, .1, .1, .1, .1, .1};
    double before, loss, norm, after[2 * LENGTH], minus[2 * LENGTH];
    fpo_optimizer_config adamw;
    check(fpo_optimizer_config_init(&adamw, sizeof adamw));
    adamw.kind = FPO_OPTIMIZER_ADAMW;
    adamw.learning_rate = 0.01;
    check(fpo_lora_initialize(lora, fpo_random_key(1)));
    check(fpo_lora_loss(lora, 2, offsets, tokens, weights, 0, &before, NULL));
    for (int step = 0; step < 20; step++) {
        check(fpo_lora_set_gradient(lora, NULL));
        check(fpo_lora_loss(lora, 2, offsets, tokens, weights, 0, &loss, NULL));
        check(fpo_lora_gradient_norm(lora, &norm));
        if (norm > 1) check(fpo_lora_scale_gradient(lora, 1 / norm));
        check(fpo_lora_step(lora, &adamw));
    }
    expect("20 steps lower the loss", loss < before);

    /* The same gradient in two phases, for objectives that need the log-probabilities first. */
    double twice;
    check(fpo_lora_set_gradient(lora, NULL));
    check(fpo_lora_loss(lora, 2, offsets, tokens, weights, 0, &loss, NULL));
    for (int t = 0; t < 2 * LENGTH; t++) minus[t] = -weights[t];
    check(fpo_lora_gradient_norm(lora, &norm));
    check(fpo_lora_forward(lora, 2, offsets, tokens, NULL, 0, after, NULL));
    check(fpo_lora_backward(lora, minus));
    check(fpo_lora_gradient_norm(lora, &twice));
    expect_near("twice the gradient", twice, 2 * norm, 1e-5);
    expect("a second backward is out of order",
           fpo_lora_backward(lora, minus) == FPO_ERR_STATE);
    printf("loss %.3f, after 20 steps %.3f\n", before, loss);
}

/* The drawn tokens' log-probabilities are those that the model gives to the finished text. */
static void generate(const fpo_language_model *model, fpo_lora *lora, const int32_t *prompt) {
    enum { PROMPT = 3 };
    const int64_t offsets[] = {0, PROMPT};
    const int32_t stop[] = {0};
    uint64_t keys[CANDIDATES];
    int64_t running, lengths[CANDIDATES];
    int32_t tokens[CANDIDATES * NEW], reasons[CANDIDATES];
    double log_p[CANDIDATES * NEW], again[NEW];
    fpo_generation_config config;
    fpo_generation *generation;
    check(fpo_generation_config_init(&config, sizeof config));
    config.candidates = CANDIDATES;
    config.max_new_tokens = NEW;
    config.min_new_tokens = 2;
    config.top_p = 0.95;
    for (uint64_t i = 0; i < CANDIDATES; i++) keys[i] = fpo_random_fold(3, i);
    check(fpo_generation_create(model, lora, &config, 1, offsets, prompt, 1, stop, keys,
                                &generation));
    do check(fpo_generation_step(generation, 1, &running));
    while (running > 0);
    check(fpo_generation_results(generation, lengths, tokens, log_p, reasons));
    for (int i = 0; i < CANDIDATES; i++) {
        const int64_t own[] = {0, lengths[i]};
        check(fpo_language_model_continuations(model, lora, PROMPT, prompt, 1, own,
                                               tokens + i * NEW, again, NULL, NULL));
        for (int t = 0; t < lengths[i]; t++)
            expect_near("the sampler's log-probability", log_p[i * NEW + t], again[t], 1e-4);
    }
    fpo_generation_destroy(generation);
}

int main(void) {
    const int32_t tokens[2 * LENGTH] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
    const int64_t offsets[] = {0, LENGTH, 2 * LENGTH};
    double log_p[2 * LENGTH], entropy[2 * LENGTH];
    float mean[2 * HIDDEN];
    char missing[4096];
    size_t needed;
    fpo_language_model *model = create();
    expect("an unfinished model says what it lacks",
           fpo_language_model_finish(model) == FPO_ERR_STATE);
    load(model);
    check(fpo_language_model_missing(model, missing, sizeof missing, &needed));
    expect("nothing is missing", needed == 1);
    check(fpo_language_model_finish(model));

    check(fpo_language_model_log_probabilities(model, NULL, 2, offsets, tokens, log_p, entropy,
                                               NULL));
    expect("first tokens have nothing before them", log_p[0] == 0 && log_p[LENGTH] == 0);
    expect("entropies are within [0, log V]", entropy[1] > 0 && entropy[1] < log(VOCABULARY));
    check(fpo_language_model_hidden_states(model, NULL, 1, FPO_POOLING_MEAN, 2, offsets, tokens,
                                           mean, HIDDEN));

    fpo_lora_config config;
    fpo_lora *lora;
    check(fpo_lora_config_init(&config, sizeof config));
    config.rank = 4;
    config.targets = FPO_LORA_ALL;
    check(fpo_lora_create(model, &config, &lora));
    train(lora, offsets, tokens);
    generate(model, lora, tokens);
    fpo_language_model_destroy(model); /* the adapter keeps the weights */
    check(fpo_lora_initialize(lora, 2));
    fpo_lora_destroy(lora);
    return 0;
}
