/* A reward model on texts: a small BERT with random weights, trained as a whole on one comparison. */
#include "check.h"
#include <string.h>

enum { TEXTS = 2, TOKENS = 7, VOCABULARY = 20 };
static const int64_t offsets[TEXTS + 1] = {0, 4, TOKENS};
static const int32_t tokens[TOKENS] = {1, 5, 9, 2, 1, 7, 2};

/* Loads every tensor that the encoder asks for: normal numbers, and ones for the norms' weights. */
static void load(fpo_text_encoder *encoder) {
    fpo_tensor tensor;
    float values[VOCABULARY * 16];
    for (int32_t i = 0; fpo_text_encoder_tensor(encoder, i, &tensor) == FPO_OK; i++) {
        size_t count = (size_t)(tensor.rows * tensor.columns);
        expect("room", count <= sizeof values / sizeof *values);
        check(fpo_random_normal_f32(fpo_random_fold(fpo_random_key(1), (uint64_t)i), count, values));
        int is_norm = strstr(tensor.name, "LayerNorm.weight") != NULL;
        for (size_t k = 0; k < count; k++) values[k] = is_norm ? 1 : 0.3f * values[k];
        check(fpo_text_encoder_load(encoder, tensor.name, tensor.rows, tensor.columns, 0, tensor.rows,
                                    FPO_ELEMENT_FLOAT32, values, (size_t)tensor.columns));
    }
}

static fpo_text_encoder *encoder_of(void) {
    fpo_text_encoder_config config;
    fpo_text_encoder *encoder;
    char missing[4096];
    check(fpo_text_encoder_config_init(&config, sizeof config));
    config.vocab_size = VOCABULARY;
    config.hidden_size = 8;
    config.intermediate_size = 16;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 2;
    config.max_position_embeddings = 16;
    check(fpo_text_encoder_create(&config, &encoder));
    expect("an empty encoder is refused", fpo_text_encoder_finish(encoder) == FPO_ERR_STATE);
    printf("as expected: %.60s...\n", fpo_last_error());
    load(encoder);
    check(fpo_text_encoder_missing(encoder, missing, sizeof missing, NULL));
    expect("nothing is missing", missing[0] == 0);
    check(fpo_text_encoder_finish(encoder));
    return encoder;
}

/* A derivative of the first text's score against a central difference. */
static void check_gradient(fpo_text_reward *reward, size_t p, size_t at) {
    const float step = 1e-2f;
    const double first[TEXTS] = {1, 0};
    double scores[TEXTS], up[TEXTS], down[TEXTS];
    float *values = malloc(p * sizeof *values), *gradient = malloc(p * sizeof *gradient);
    expect("memory", values != NULL && gradient != NULL);
    check(fpo_text_reward_forward(reward, TEXTS, offsets, tokens, NULL, 0, 0, scores));
    check(fpo_text_reward_set_gradient(reward, NULL));
    check(fpo_text_reward_backward(reward, first));
    check(fpo_text_reward_get_gradient(reward, gradient));
    check(fpo_text_reward_get_parameters(reward, values));
    float value = values[at];
    values[at] = value + step;
    check(fpo_text_reward_set_parameters(reward, values));
    check(fpo_text_reward_scores(reward, TEXTS, offsets, tokens, NULL, up));
    values[at] = value - step;
    check(fpo_text_reward_set_parameters(reward, values));
    check(fpo_text_reward_scores(reward, TEXTS, offsets, tokens, NULL, down));
    values[at] = value;
    check(fpo_text_reward_set_parameters(reward, values));
    expect_near("derivative", (double)gradient[at], (up[0] - down[0]) / (2 * (double)step), 2e-3);
    free(values);
    free(gradient);
}

/* Inner products of gradients that are never formed against those that are. */
static void check_gram(fpo_text_reward *reward, size_t p) {
    double gram[TEXTS * TEXTS];
    float *g = malloc(TEXTS * p * sizeof *g);
    expect("memory", g != NULL);
    check(fpo_text_reward_gram(reward, TEXTS, offsets, tokens, NULL, gram, TEXTS));
    check(fpo_text_reward_gradients(reward, TEXTS, offsets, tokens, NULL, g, p));
    for (size_t i = 0; i < TEXTS; i++)
        for (size_t j = 0; j < TEXTS; j++) {
            double sum = 0;
            for (size_t k = 0; k < p; k++) sum += (double)g[i * p + k] * (double)g[j * p + k];
            expect_near("inner product", gram[i * TEXTS + j], sum, 1e-5 * gram[0]);
        }
    printf("practical penalty of the first text against the second: %.6f\n", gram[0] - gram[1]);
    free(g);
}

int main(void) {
    fpo_text_encoder *encoder = encoder_of();
    fpo_text_reward_config config;
    fpo_text_reward *reward;
    int64_t count;
    check(fpo_text_reward_config_init(&config, sizeof config));
    config.trainable = FPO_TRAINABLE_ALL;
    config.head_scale = 0.5;
    check(fpo_text_reward_create(encoder, &config, fpo_random_key(2), &reward));
    fpo_text_encoder_destroy(encoder); /* the reward keeps it alive */
    check(fpo_text_reward_parameter_count(reward, &count));
    printf("%d parameters\n", (int)count);
    check_gradient(reward, (size_t)count, 5 * 8 + 3); /* an embedding of token 5 */
    check_gradient(reward, (size_t)count, (size_t)count - 2);
    check_gram(reward, (size_t)count);

    /* Bradley-Terry: the first text is the better one. */
    fpo_optimizer_config adamw;
    double scores[TEXTS], before = 0;
    check(fpo_optimizer_config_init(&adamw, sizeof adamw));
    adamw.kind = FPO_OPTIMIZER_ADAMW;
    adamw.learning_rate = 1e-2;
    for (int step = 0; step <= 5; step++) {
        check(fpo_text_reward_forward(reward, TEXTS, offsets, tokens, NULL, 0, 0, scores));
        double margin = scores[0] - scores[1];
        expect("the margin grows", step == 0 || margin > before);
        printf("step %d: loss %.6f\n", step, log1p(exp(-margin)));
        double slope = -1 / (1 + exp(margin));
        double coefficients[TEXTS] = {slope, -slope};
        check(fpo_text_reward_set_gradient(reward, NULL));
        check(fpo_text_reward_backward(reward, coefficients));
        check(fpo_text_reward_step(reward, &adamw));
        before = margin;
    }
    fpo_text_reward_destroy(reward);
    return 0;
}
