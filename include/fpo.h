/* fpo.h: the C interface of libfpo, and its contract.
 *
 * libfpo holds reward models, foresighted (FPO) penalties and the controlled environments of
 * iterative RLHF. Gauthier, Bach and Jordan, "Explaining and Preventing Alignment Collapse in
 * Iterative RLHF", arXiv:2605.04266, 2026.
 *
 * Status     Every function that can fail returns an int32_t status; FPO_OK is 0. On failure
 *            nothing is written to any output, and fpo_last_error() names the argument and says
 *            what was expected. Nothing that a caller can pass ends the process.
 * Arrays     Row-major. A leading dimension (`ld...`) counts elements between rows and is at least
 *            the number of columns. All outputs are allocated by the caller and must not overlap
 *            the inputs unless "in place" is said. n = 0 rows is valid and writes nothing.
 * Numbers    `_f64` functions read and write double, `_f32` functions float. Inputs must be finite
 *            unless said otherwise (FPO_ERR_NONFINITE).
 * Configs    A struct that begins with `struct_size` is filled by its `_init` function and then
 *            edited. A shorter struct of an older header is accepted, a longer one too if its
 *            unknown tail is zero. Defaults live in the library only; see fpo_parameter_info().
 * Ownership  Every `_create` has a `_destroy`, which accepts NULL. The library copies what it
 *            needs: no pointer that you pass is kept after the call returns.
 * Threads    Distinct handles may be used from distinct threads at once. One handle serves one
 *            thread at a time: a second call meets FPO_ERR_BUSY. `_cancel` may be called from any
 *            thread or signal handler. The last error is per thread. Results never depend on the
 *            number of threads.
 * Fork       A child of fork() may use the library; it starts its own worker threads.
 */
#ifndef FPO_H
#define FPO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FPO_API __attribute__((visibility("default")))
#else
#define FPO_API
#endif

/* ------------------------------------------------------------------------- Library */

#define FPO_VERSION "0.1.0"
#define FPO_ABI_MAJOR 0u /* raised when a caller must be recompiled; equals the soname number  */
#define FPO_ABI_MINOR 1u /* raised when functions, fields or constants are appended            */

/* Status codes. Values are never reused. */
enum {
    FPO_OK = 0,
    FPO_ERR_NULL = 1,         /* a pointer is NULL where none may be                           */
    FPO_ERR_DOMAIN = 2,       /* a number is outside its domain                                */
    FPO_ERR_SHAPE = 3,        /* sizes disagree, or a leading dimension is too small           */
    FPO_ERR_NONFINITE = 4,    /* an input holds a NaN or an infinity                           */
    FPO_ERR_MEMORY = 5,       /* an allocation failed, or would be absurdly large              */
    FPO_ERR_ABI = 6,          /* struct_size does not belong to this library                   */
    FPO_ERR_FORMAT = 7,       /* saved bytes do not belong to this object                      */
    FPO_ERR_CANCELLED = 8,    /* stopped by fpo_simulation_cancel(); the handle remains usable */
    FPO_ERR_BUSY = 9,         /* another thread is inside this handle                          */
    FPO_ERR_SINGULAR = 10,    /* a matrix is not positive definite                             */
    FPO_ERR_CONVERGENCE = 11, /* an iteration ended before its tolerance                       */
    FPO_ERR_CPU = 12,         /* this processor lacks x86-64-v3 (AVX2 and FMA)                 */
    FPO_ERR_STATE = 13,       /* calls out of order: the object is not ready for this one      */
    FPO_ERR_INTERNAL = 99
};

/* ABI_MAJOR << 16 | ABI_MINOR of the library that is loaded. */
FPO_API uint32_t fpo_abi_version(void);

/* "major.minor.patch" of the library that is loaded; static storage. */
FPO_API const char *fpo_version(void);

/* The short name of a status ("shape"); static storage, never NULL, any value is accepted. */
FPO_API const char *fpo_status_name(int32_t status);

/* What this thread's last failing call had to say; valid until its next call. Never NULL. */
FPO_API const char *fpo_last_error(void);

/* "key=value" lines: version, abi, cpu_level, cpu_level_detected, lanes_f32, lanes_f64, threads,
 * blas, blas_core. Copies at most `capacity` bytes with a final NUL into `buffer` (NULL if
 * capacity is 0) and stores the full size, NUL included, in `*needed` (may be NULL). */
FPO_API int32_t fpo_build_info(char *buffer, size_t capacity, size_t *needed);

/* How many threads parallel work may use, the caller's own included. 0 = as many as the process
 * may run on (affinity and cgroup limits respected), the default. At most 1024. */
FPO_API int32_t fpo_set_num_threads(int32_t count);
FPO_API int32_t fpo_get_num_threads(void);

/* Parameters of the config structs, for bindings: name, type, default, bounds and documentation
 * come from the library alone. */
enum {
    FPO_CONFIG_ENVIRONMENT_LINEAR = 0,
    FPO_CONFIG_ENVIRONMENT_NEURAL = 1,
    FPO_CONFIG_PENALTY = 2,
    FPO_CONFIG_UTILITY_FILTER = 3,
    FPO_CONFIG_LOSS = 256,       /* + FPO_LOSS_...        */
    FPO_CONFIG_POLICY_LOSS = 512 /* + FPO_POLICY_LOSS_... */
};
enum { FPO_TYPE_INT32 = 0, FPO_TYPE_FLOAT64 = 1 };

typedef struct fpo_parameter {
    const char *name;       /* the field's name; static storage                        */
    const char *doc;        /* one sentence with its unit and source; static storage   */
    const char *choices;    /* names of an enumerated int32, comma-separated; or NULL  */
    double default_value;   /* for the config that was asked about                     */
    double minimum;         /* inclusive                                               */
    double maximum;         /* inclusive; may be +infinity                             */
    uint32_t offset;        /* byte offset in the struct                               */
    int32_t type;           /* FPO_TYPE_...; an int32 array has count > 1              */
    int32_t count;          /* elements: 1 for a scalar                                */
} fpo_parameter;

/* The `index`-th parameter of a config; FPO_ERR_DOMAIN past the last, which ends an enumeration. */
FPO_API int32_t fpo_parameter_info(int32_t config, int32_t index, fpo_parameter *out);

/* -------------------------------------------------------------------------- Random */

/* Threefry-2x32-20 (Salmon et al., SC 2011), counter based: a key is 64 bits, element i of a
 * stream depends on (key, i) alone, and keys split without a global state. */

/* The key of a seed, and the `index`-th child of a key. Total functions. */
FPO_API uint64_t fpo_random_key(uint64_t seed);
FPO_API uint64_t fpo_random_fold(uint64_t key, uint64_t index);

/* n draws: uniform on (0, 1), 23 bits; standard normal by Box-Muller, two to a counter. */
FPO_API int32_t fpo_random_uniform_f64(uint64_t key, size_t n, double *out);
FPO_API int32_t fpo_random_uniform_f32(uint64_t key, size_t n, float *out);
FPO_API int32_t fpo_random_normal_f64(uint64_t key, size_t n, double *out);
FPO_API int32_t fpo_random_normal_f32(uint64_t key, size_t n, float *out);

/* ------------------------------------------------------------------------ Numerics */

/* Elementwise y = f(x), in place allowed (y == x), NaN and infinities are passed through as the
 * limits of f. Bounds on the error in units in the last place stand in docs/math/elementary.md. */
FPO_API int32_t fpo_exp_f32(size_t n, const float *x, float *y);
FPO_API int32_t fpo_exp_f64(size_t n, const double *x, double *y);
FPO_API int32_t fpo_log_f32(size_t n, const float *x, float *y);
FPO_API int32_t fpo_log_f64(size_t n, const double *x, double *y);
FPO_API int32_t fpo_tanh_f32(size_t n, const float *x, float *y);
FPO_API int32_t fpo_tanh_f64(size_t n, const double *x, double *y);
FPO_API int32_t fpo_sigmoid_f32(size_t n, const float *x, float *y);
FPO_API int32_t fpo_sigmoid_f64(size_t n, const double *x, double *y);
FPO_API int32_t fpo_softplus_f32(size_t n, const float *x, float *y); /* log(1 + e^x) */
FPO_API int32_t fpo_softplus_f64(size_t n, const double *x, double *y);

/* Solves A X = B for a symmetric positive definite A (n, n), of which the lower triangle is read;
 * B and X are (n, m). Cholesky; FPO_ERR_SINGULAR if A is not positive definite. */
FPO_API int32_t fpo_cholesky_solve_f64(size_t n, size_t m, const double *a, size_t lda,
                                       const double *b, size_t ldb, double *x, size_t ldx);

/* Solves A x = b for a symmetric positive definite A (n, n) by conjugate gradient, until
 * |b - A x| <= tolerance * |b|; `*iterations` may be NULL. FPO_ERR_CONVERGENCE, with nothing
 * written, after max_iterations. */
FPO_API int32_t fpo_conjugate_gradient_f64(size_t n, const double *a, size_t lda, const double *b,
                                           double tolerance, int64_t max_iterations, double *x,
                                           int64_t *iterations);

/* Ridge regression around the mean, as residual FPO uses it: with mu = mean x, ubar = mean u,
 *   coefficients = ((X - mu)^T (X - mu) + kappa I)^-1 (X - mu)^T (u - ubar)          (d)
 *   u_hat(x)     = ubar + (x - mu) . coefficients
 * x (n, d), u (n), n >= 1, kappa > 0; solved in the smaller of the primal and the dual form. */
FPO_API int32_t fpo_ridge_f64(size_t n, size_t d, const double *x, size_t ldx, const double *u,
                              double kappa, double *coefficients, double *mean_x, double *mean_u);

/* ----------------------------------------------------------------------- Penalties */

/* A reward model's user brings arrays: per-sample gradients (or features, for a linear head), and
 * gets penalties P, to be subtracted from the reward after multiplication by a weight lambda.
 * With `reference` NULL the loss is the squared error and v = g; with a reference it is
 * Bradley-Terry and v = g - g_reference. Rows are samples: gradients g (n, p).
 *
 *   practical                  P = <v, g>                   (FPO, arXiv:2605.04266)
 *   practical, shift-invariant P = <v, v>, never negative
 *   relaxed, residual          P = e <v, g>                 e: overconfidence
 *   exact                      P = e <v, (H + delta I)^-1 gbar>,   H = (1/n) sum_i c_i v_i v_i^T
 *
 * Sums run in double in an order that does not depend on the number of threads. */

/* Overconfidence e. reference_reward NULL: squared error, e = reward - label. Otherwise
 * Bradley-Terry, e = sigmoid(reward - reference_reward) - label, with a soft label in [0, 1]. */
FPO_API int32_t fpo_overconfidence_f64(size_t n, const double *reward,
                                       const double *reference_reward, const double *label,
                                       double *overconfidence);

/* shift_invariant: 0 or 1. */
FPO_API int32_t fpo_practical_penalty_f64(size_t n, size_t p, const double *gradients, size_t ldg,
                                          const double *reference, size_t ldr,
                                          int32_t shift_invariant, double *penalty);
FPO_API int32_t fpo_practical_penalty_f32(size_t n, size_t p, const float *gradients, size_t ldg,
                                          const float *reference, size_t ldr,
                                          int32_t shift_invariant, double *penalty);

/* The relaxed penalty, and with an estimated overconfidence the residual one. */
FPO_API int32_t fpo_relaxed_penalty_f64(size_t n, size_t p, const double *gradients, size_t ldg,
                                        const double *reference, size_t ldr,
                                        const double *overconfidence, double *penalty);
FPO_API int32_t fpo_relaxed_penalty_f32(size_t n, size_t p, const float *gradients, size_t ldg,
                                        const float *reference, size_t ldr,
                                        const double *overconfidence, double *penalty);

/* The exact penalty through the damped Gauss-Newton Hessian of the loss over these n samples.
 * curvature c (n), or NULL for all ones (squared error with the factor 2 absorbed in lambda; for
 * Bradley-Terry pass c = s (1 - s), s = sigmoid(reward - reference_reward)). mean_gradient gbar
 * (p), or NULL for the mean of `gradients`. damping delta > 0. The Gram form solves the (n, n) or the
 * (p, p) system, whichever is smaller, by Cholesky; the conjugate-gradient form never forms a matrix,
 * and `tolerance` and `max_iterations` are for it alone (the Gram form ignores them). */
enum { FPO_SOLVER_GRAM = 0, FPO_SOLVER_CONJUGATE_GRADIENT = 1 };
FPO_API int32_t fpo_exact_penalty_f64(size_t n, size_t p, const double *gradients, size_t ldg,
                                      const double *reference, size_t ldr,
                                      const double *overconfidence, const double *curvature,
                                      const double *mean_gradient, double damping, int32_t solver,
                                      double tolerance, int64_t max_iterations, double *penalty);

/* TracIn (Pruthi et al., arXiv:2002.08484, eq. 2) at one checkpoint with learning rate eta:
 *   self-influence   eta |g_i|^2             (n)
 *   influence        eta <g_i, g'_j>         (n, m)
 * Sum over checkpoints in the caller. Gradients are those of the loss. */
FPO_API int32_t fpo_self_influence_f64(size_t n, size_t p, const double *gradients, size_t ldg,
                                       double learning_rate, double *influence);
FPO_API int32_t fpo_self_influence_f32(size_t n, size_t p, const float *gradients, size_t ldg,
                                       double learning_rate, double *influence);
FPO_API int32_t fpo_influence_f64(size_t n, size_t m, size_t p, const double *gradients, size_t ldg,
                                  const double *others, size_t ldo, double learning_rate,
                                  double *influence, size_t ldi);
FPO_API int32_t fpo_influence_f32(size_t n, size_t m, size_t p, const float *gradients, size_t ldg,
                                  const float *others, size_t ldo, double learning_rate,
                                  double *influence, size_t ldi);

/* ------------------------------------------------------------------ Utility filter */

/* The residual penalty for your own reward model and policy: with actions y in d dimensions and
 * labels of what the policy does, a Kalman filter keeps an estimate of utility around a reference m
 * that follows the policy,
 *   u_hat(y) = level + slope . (y - m) + min(curvature, 0) |y - m|^2 / 2,
 * and the penalty is fpo_relaxed_penalty_f64() with overconfidence = reward - u_hat. The filter is
 * that of the environments' residual penalty. Derivation: docs/math/utility-filter.md.
 *
 * In every round of the loop: move to the policy's present mean, observe the labels bought since,
 * estimate. Nothing fades with time or with the number of labels, only as far as the reference
 * moves; both scales say how fast. One label costs O(d^2); memory is about 128 (d + 2)^2 bytes at
 * most. Where a label or a move would take the filter beyond double precision, the call returns
 * FPO_ERR_NONFINITE and the filter stays what it was. */
typedef struct fpo_utility_filter fpo_utility_filter;
typedef struct fpo_utility_filter_config {
    uint32_t struct_size;
    int32_t estimates_curvature; /* 0 or 1; default 1; 0: the estimate is affine                */
    double utility_scale;        /* A > 0, prior standard deviation of utility; 10; overstate it */
    double length_scale;         /* > 0, distance over which utility varies by A; 2             */
    double noise_scale;          /* > 0, first guess of a label's standard deviation; 1         */
    double noise_memory;         /* 0 to 1, weight of a label in the estimate of that; 0.2      */
} fpo_utility_filter_config;

FPO_API int32_t fpo_utility_filter_config_init(fpo_utility_filter_config *config,
                                               uint32_t struct_size);
/* The prior at a reference (d), d >= 1: level and slope (d), for which take what the reward model
 * says there; `slope` NULL: 0. */
FPO_API int32_t fpo_utility_filter_create(const fpo_utility_filter_config *config, size_t dimension,
                                          const double *reference, double level,
                                          const double *slope, fpo_utility_filter **out);
FPO_API int32_t fpo_utility_filter_move(fpo_utility_filter *filter, const double *reference);
/* Labels (n) of actions x (n, d), taken in one after the other. */
FPO_API int32_t fpo_utility_filter_observe(fpo_utility_filter *filter, size_t n, const double *x,
                                           size_t ldx, const double *label);
/* The estimate (n) of actions x (n, d), and its slope in the action (n, d); `slope` may be NULL. */
FPO_API int32_t fpo_utility_filter_estimate(fpo_utility_filter *filter, size_t n, const double *x,
                                            size_t ldx, double *utility, double *slope, size_t lds);
/* At the reference: level, slope (d), curvature (where convex, too), and the standard deviation of
 * a label's noise. Each may be NULL. */
FPO_API int32_t fpo_utility_filter_state(const fpo_utility_filter *filter, double *level,
                                         double *slope, double *curvature, double *noise);
FPO_API void fpo_utility_filter_destroy(fpo_utility_filter *filter);

/* ---------------------------------------------------------------------- Objectives */

/* Losses on plain arrays: a value and derivatives for each pair, response or token, unreduced; the
 * mean over a batch is the caller's. They know log-probabilities and rewards, and no model. Where a
 * result would be beyond double precision the call returns FPO_ERR_NONFINITE, names the row, and
 * writes nothing. Formulas, papers and equations: docs/methods.md.
 *
 * A loss is named by its kind; which parameters a kind has, and their defaults and bounds, is what
 * fpo_parameter_info(FPO_CONFIG_LOSS + kind, ...) tells. A parameter that the kind does not have must
 * stay 0, as fpo_loss_init() leaves it. */
enum {
    /* of the rewards of a pair: fpo_reward_loss_f64() */
    FPO_LOSS_BRADLEY_TERRY = 0,
    FPO_LOSS_DAVIDSON = 1,              /* ties                                                  */
    FPO_LOSS_RAO_KUPPER = 2,            /* ties                                                  */
    /* of the log-probabilities of a pair: fpo_preference_loss_f64() */
    FPO_LOSS_DPO = 3,
    FPO_LOSS_CONSERVATIVE_DPO = 4,
    FPO_LOSS_ROBUST_DPO = 5,
    FPO_LOSS_HINGE = 6,
    FPO_LOSS_IPO = 7,                   /* log-ratios summed over tokens, as the paper has them  */
    FPO_LOSS_MEAN_IPO = 8,              /* averaged over tokens                                  */
    FPO_LOSS_SIMPO = 9,
    FPO_LOSS_ORPO = 10,
    FPO_LOSS_CPO = 11,
    FPO_LOSS_ALPHAPO = 12,
    FPO_LOSS_DPO_SHIFT = 13,
    FPO_LOSS_LENGTH_NORMALIZED_DPO = 14,
    FPO_LOSS_EXO = 15,
    FPO_LOSS_NCA = 16,
    FPO_LOSS_BCO = 17,
    FPO_LOSS_SPPO = 18,
    FPO_LOSS_APO_ZERO = 19,
    FPO_LOSS_APO_DOWN = 20,
    FPO_LOSS_DISCOPOP = 21,
    FPO_LOSS_FORWARD_KL_DPO = 22,
    FPO_LOSS_JENSEN_SHANNON_DPO = 23,
    FPO_LOSS_ALPHA_DIVERGENCE_DPO = 24,
    FPO_LOSS_DPO_POSITIVE = 25,
    FPO_LOSS_RPO = 26,
    /* of the log-probability of a labelled response: fpo_unpaired_loss_f64() */
    FPO_LOSS_KTO = 27
};

typedef struct fpo_loss {
    uint32_t struct_size;
    int32_t kind;               /* FPO_LOSS_...                                                  */
    double beta;
    double label_smoothing;
    double gamma;
    double alpha;
    double weight;
    double temperature;
    double centring;
    double tie;
    double desirable_weight;
    double undesirable_weight;
} fpo_loss;

FPO_API int32_t fpo_loss_init(fpo_loss *loss, uint32_t struct_size, int32_t kind);

/* Whether a loss of log-probabilities reads those of a reference model, and lengths: 0 or 1. */
FPO_API int32_t fpo_loss_needs(int32_t kind, int32_t *reference, int32_t *length);

/* Rewards (n) of pairs; margin (n) or NULL for 0; label (n) in [0, 1], the probability that `chosen`
 * is the better one, 0.5 for a tie, or NULL for 1. */
FPO_API int32_t fpo_reward_loss_f64(const fpo_loss *config, size_t n, const double *chosen,
                                    const double *rejected, const double *margin,
                                    const double *label, double *loss, double *d_chosen,
                                    double *d_rejected);

/* Log-probabilities of whole responses (n), summed over tokens, and lengths in tokens (n). What the
 * kind does not need is not read and may be NULL. An empty response has log-probability 0. */
FPO_API int32_t fpo_preference_loss_f64(const fpo_loss *config, size_t n, const double *chosen,
                                        const double *rejected, const double *reference_chosen,
                                        const double *reference_rejected,
                                        const int64_t *chosen_length,
                                        const int64_t *rejected_length, double *loss,
                                        double *d_chosen, double *d_rejected);

/* label (n): 1 desirable, 0 not. baseline: the reference point z0 of KTO, held constant. */
FPO_API int32_t fpo_unpaired_loss_f64(const fpo_loss *config, size_t n, const double *logp,
                                      const double *reference, const int32_t *label,
                                      double baseline, double *loss, double *d_logp);

/* z0 = max(0, mean(logp - reference)) over responses paired with the wrong prompts; 0 for n = 0. */
FPO_API int32_t fpo_kto_baseline_f64(size_t n, const double *logp, const double *reference,
                                     double *baseline);

/* Supervised fine-tuning: -logp, divided by the length (n), at least 1, where that is not NULL. */
FPO_API int32_t fpo_sft_loss_f64(size_t n, const double *logp, const int64_t *length, double *loss,
                                 double *d_logp);

/* One score against its label: (score - label)^2; or cross-entropy with a label in [0, 1] for the
 * outcome of a solution, or the correctness of a step. */
enum { FPO_SCORE_SQUARED_ERROR = 0, FPO_SCORE_CROSS_ENTROPY = 1 };
FPO_API int32_t fpo_score_loss_f64(int32_t kind, size_t n, const double *score,
                                   const double *label, double *loss, double *d_score);

/* Rewards (n) of solutions from the scores of their steps: those of solution i stand from offset[i]
 * to offset[i + 1]; offset (n + 1) begins with 0 and does not fall. sigmoid(score) is the probability
 * that a step is correct. A solution without steps has reward 0. `d_score` (offset[n]), the slope of
 * each reward in its scores, may be NULL. */
enum {
    FPO_AGGREGATION_PRODUCT = 0,
    FPO_AGGREGATION_MINIMUM = 1,
    FPO_AGGREGATION_MEAN = 2,
    FPO_AGGREGATION_LAST = 3
};
FPO_API int32_t fpo_process_reward_f64(int32_t aggregation, size_t n, const int64_t *offset,
                                       const double *score, double *reward, double *d_score);

/* The general preference model on embeddings (n, 2 blocks), the first of each pair preferred:
 * score = sum_b weight_b (v_2b w_2b+1 - v_2b+1 w_2b), loss = softplus(-(score - margin) / temperature).
 * weight (n, blocks), or NULL for ones; margin (n), or NULL for 0. Each output may be NULL but score. */
FPO_API int32_t fpo_general_preference_f64(size_t n, size_t blocks, const double *chosen,
                                           const double *rejected, const double *weight,
                                           const double *margin, double temperature, double *score,
                                           double *loss, double *d_chosen, double *d_rejected,
                                           double *d_weight);

/* Policy gradients. Tokens of n responses stand one after the other: those of response i from
 * offset[i] to offset[i + 1]; offset (n + 1) begins with 0 and does not fall. An empty response has
 * no tokens and takes no part. */

/* Estimates of KL(pi || reference) and their derivative in logp (n), of the log-ratio
 * a = logp - reference: K1 a, K2 a^2/2, K3 e^-a - 1 + a, K3_PLUS the value of K3 with the slope of K2.
 * An estimate beyond `limit` (> 0, +infinity for none) is the limit, with slope 0. What each one's
 * gradient is, as a reward and as a loss: docs/math/policy-gradient.md. */
enum { FPO_KL_K1 = 0, FPO_KL_K2 = 1, FPO_KL_K3 = 2, FPO_KL_K3_PLUS = 3 };
FPO_API int32_t fpo_kl_estimate_f64(int32_t estimator, size_t n, const double *logp,
                                    const double *reference, double limit, double *value,
                                    double *d_logp);

/* beta (1 + clip(kl / target - 1, +-0.2) samples / horizon): arXiv:1909.08593, section 2.2. */
FPO_API int32_t fpo_adaptive_kl(double beta, double kl, double target, double samples,
                                double horizon, double *next);

/* Advantages (n) of responses from their rewards (n), where NaN means that a response could not be
 * scored: it gets 0 and has no part in any statistic. Equal rewards of a group give exactly 0.
 *   REINFORCE  R - baseline (n; NULL: 0); ReMax with the greedy response's reward as the baseline
 *   RLOO       R - mean of the group's others; alone in its group: of the batch's
 *   GRPO       (R - mean) / (deviation + epsilon), `scale` says of what; alone in its group: 0
 *   OPO        R - sum T R / sum T over the group, with lengths T (n)
 *   PLUS_PLUS, PLUS_PLUS_BASELINE   whitened over the batch, the latter after the group's mean
 * group (n): numbers of 0 to n - 1, NULL for one group. epsilon >= 0; 1e-4 in TRL. */
enum {
    FPO_ADVANTAGE_REINFORCE = 0,
    FPO_ADVANTAGE_RLOO = 1,
    FPO_ADVANTAGE_GRPO = 2,
    FPO_ADVANTAGE_OPO = 3,
    FPO_ADVANTAGE_PLUS_PLUS = 4,
    FPO_ADVANTAGE_PLUS_PLUS_BASELINE = 5
};
enum { FPO_SCALE_NONE = 0, FPO_SCALE_GROUP = 1, FPO_SCALE_BATCH = 2 };
FPO_API int32_t fpo_group_advantage_f64(int32_t estimator, int32_t scale, double epsilon, size_t n,
                                        const double *reward, const int64_t *group,
                                        const double *baseline, const int64_t *length,
                                        double *advantage);

/* 0 up to max_length - buffer tokens, falling to -1 at max_length, -1 beyond: arXiv:2503.14476,
 * eq. 13. 0 < buffer <= max_length. */
FPO_API int32_t fpo_overlong_penalty_f64(size_t n, const int64_t *length, int64_t max_length,
                                         int64_t buffer, double *penalty);

/* Rewards of tokens: -beta times the estimate of each, and the response's score (n) at its last. */
FPO_API int32_t fpo_token_rewards_f64(size_t n, const int64_t *offset, const double *score,
                                      const double *logp, const double *reference,
                                      int32_t estimator, double beta, double *reward);

/* Generalised advantages and returns of tokens: arXiv:1506.02438, eq. 16. bootstrap (n) is the value
 * after the last token, of a response that was cut off; NULL: 0. gamma, lambda in [0, 1]. */
FPO_API int32_t fpo_gae_f64(size_t n, const int64_t *offset, const double *reward,
                            const double *value, const double *bootstrap, double gamma,
                            double lambda, double *advantage, double *returns);

/* (x - mean) / sqrt(variance + 1e-8) with Bessel's correction, in place allowed; keep_mean 1 adds the
 * mean again. One number, or equal ones, become 0 (or stay). */
FPO_API int32_t fpo_whiten_f64(size_t n, const double *x, int32_t keep_mean, double *y);

/* max((V - R)^2, (clip(V, old +- clip) - R)^2) / 2 and its slope in V (n); clip +infinity: none. */
FPO_API int32_t fpo_value_loss_f64(size_t n, const double *value, const double *old_value,
                                   const double *returns, double clip, double *loss,
                                   double *d_value);

/* Of distributions softmax(logits), logits (n, vocabulary): the entropy (n), and the divergence from
 * softmax(reference) (n); with gradients in the logits (n, vocabulary), contiguous, or NULL. */
FPO_API int32_t fpo_entropy_f64(size_t n, size_t vocabulary, const double *logits, size_t ldl,
                                double *entropy, double *d_logits);
FPO_API int32_t fpo_exact_kl_f64(size_t n, size_t vocabulary, const double *logits, size_t ldl,
                                 const double *reference, size_t ldr, double *kl,
                                 double *d_logits);

/* The surrogate loss -sum w u + kl_coefficient sum w k over tokens, with advantages A (one a token):
 *   u   LOGARITHM A logp;   CLIPPED min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A), where A < 0
 *       at least dual_clip A;   WEIGHTED min(rho, 1 + clip_high) A logp, the weight held constant
 *   rho exp(logp - old_logp) of a token, or of its response: the geometric mean, or the product
 *   w   1/(n T_i);  1/sum T;  1/n;  1/(n max_length)
 * A preset fills the fields; all of them can then be changed. */
enum {
    FPO_POLICY_LOSS_REINFORCE = 0, /* and RLOO, ReMax: they differ in their advantages          */
    FPO_POLICY_LOSS_PPO = 1,
    FPO_POLICY_LOSS_GRPO = 2,
    FPO_POLICY_LOSS_DR_GRPO = 3,
    FPO_POLICY_LOSS_DAPO = 4,
    FPO_POLICY_LOSS_GSPO = 5,
    FPO_POLICY_LOSS_CISPO = 6
};
enum { FPO_SURROGATE_LOGARITHM = 0, FPO_SURROGATE_CLIPPED = 1, FPO_SURROGATE_WEIGHTED = 2 };
enum { FPO_RATIO_TOKEN = 0, FPO_RATIO_SEQUENCE_MEAN = 1, FPO_RATIO_SEQUENCE = 2 };
enum {
    FPO_MEAN_OF_SEQUENCES = 0,
    FPO_MEAN_OF_TOKENS = 1,
    FPO_SUM_OF_TOKENS = 2,
    FPO_CONSTANT_LENGTH = 3
};
typedef struct fpo_policy_loss {
    uint32_t struct_size;
    int32_t surrogate;     /* FPO_SURROGATE_...                                                  */
    int32_t ratio;         /* FPO_RATIO_...                                                      */
    int32_t aggregation;   /* FPO_MEAN_OF_..., FPO_SUM_OF_TOKENS, FPO_CONSTANT_LENGTH            */
    int32_t kl_estimator;  /* FPO_KL_...                                                         */
    int32_t kl_weighted;   /* 1: estimates are multiplied by rho, and differentiated through it  */
    double clip_low;
    double clip_high;
    double dual_clip;      /* > 1, or 0 for none                                                 */
    double max_length;     /* > 0 for FPO_CONSTANT_LENGTH                                        */
    double kl_coefficient; /* >= 0; beta                                                         */
    double kl_limit;       /* > 0; +infinity for none                                            */
} fpo_policy_loss;

FPO_API int32_t fpo_policy_loss_init(fpo_policy_loss *config, uint32_t struct_size, int32_t preset);

/* old_logp NULL: the policy itself sampled, rho = 1. reference NULL: no divergence. used (n): 0 leaves
 * a response out, NULL: none. statistics (3): the loss, the share of clipped tokens, the mean
 * estimate. d_logp, one a token. Nothing to learn from gives 0. */
FPO_API int32_t fpo_policy_loss_f64(const fpo_policy_loss *config, size_t n, const int64_t *offset,
                                    const double *logp, const double *old_logp,
                                    const double *reference, const double *advantage,
                                    const int32_t *used, double *statistics, double *d_logp);

/* Games. A preference matrix P (n, n) has P + P^T = 1: P_ij is the probability that i beats j. */

/* The exact equilibrium of the zero-sum game with payoff p^T A q for the row player, A (m, n),
 * m, n >= 1: mixtures p (m) and q (n), and the value. For preferences take A = P - 1/2. By linear
 * programming; FPO_ERR_CONVERGENCE if a pure strategy could gain 1e-9 of A's range. */
FPO_API int32_t fpo_matrix_game_f64(size_t m, size_t n, const double *payoff, size_t lda,
                                    double *row, double *column, double *value);

/* The regularised equilibrium pi = reference exp(P pi / tau) / Z of Nash learning, until the residual
 * of log pi is below `tolerance`: about 30 (0.5 / tau)^2 steps. reference (n) sums to 1. `iterations`
 * may be NULL. */
FPO_API int32_t fpo_regularized_nash_f64(size_t n, const double *preference, size_t ldp,
                                         const double *reference, double tau, double tolerance,
                                         int64_t max_iterations, double *policy,
                                         int64_t *iterations);

/* Nash-MD: preference - 1/2 - tau (logp - reference) of whole responses (n), and the opponent's
 * log-probabilities (n, vocabulary, contiguous) of policy^(1-c) reference^c, 0 <= c <= 1. */
FPO_API int32_t fpo_nash_md_advantage_f64(size_t n, const double *preference, const double *logp,
                                          const double *reference, double tau, double *advantage);
FPO_API int32_t fpo_geometric_mixture_f64(size_t n, size_t vocabulary, const double *logits,
                                          size_t ldl, const double *reference, size_t ldr, double c,
                                          double *logp);

/* SPO: the mean preference over the group's other samples (n); 1/2 without any. group (n), or NULL. */
FPO_API int32_t fpo_win_rate_f64(size_t n, const double *preference, size_t ldp,
                                 const int64_t *group, double *reward);

/* XPO: -log sigmoid(beta D) + alpha log pi(y~), y~ the reference's sample, of which the derivative is
 * alpha. alpha >= 0; 0 is online DPO. */
FPO_API int32_t fpo_xpo_loss_f64(double beta, double alpha, size_t n, const double *chosen,
                                 const double *rejected, const double *reference_chosen,
                                 const double *reference_rejected, const double *sample,
                                 double *loss, double *d_chosen, double *d_rejected);

/* The best of n samples from a distribution (m) by score (m): what is chosen (m), and its exact
 * divergence from the distribution, of which log n - (n - 1)/n is an upper bound. */
FPO_API int32_t fpo_best_of_n_f64(size_t m, const double *probability, const double *score,
                                  int64_t n, double *selected, double *kl);

/* Unbiased estimate of the gold score of the best of n by a proxy, from `count` >= n samples. */
FPO_API int32_t fpo_best_of_n_estimate_f64(size_t count, const double *proxy, const double *gold,
                                           int64_t n, double *value);

/* Instruments: gold = d (alpha - beta d) or d (alpha - beta log d) of d = sqrt(KL) >= 0 by least
 * squares: fit (4) is alpha, beta and their standard errors (NaN for two points).
 * FPO_ERR_SINGULAR if the points do not determine both. */
enum { FPO_OVEROPTIMIZATION_BEST_OF_N = 0, FPO_OVEROPTIMIZATION_RL = 1 };
FPO_API int32_t fpo_overoptimization_fit_f64(int32_t curve, size_t n, const double *distance,
                                             const double *gold, double *fit);

/* CHES of one pair from the hidden states (t, d) that predict its tokens, without padding: scores (3)
 * are CHES, its length-normalised form, and that of the last embeddings. t, u >= 1. */
FPO_API int32_t fpo_ches_f64(size_t t, size_t u, size_t d, const double *chosen, size_t ldc,
                             const double *rejected, size_t ldr, double *scores);

/* ---------------------------------------------------------------------- Optimisers */

enum { FPO_OPTIMIZER_SGD = 0, FPO_OPTIMIZER_ADAM = 1, FPO_OPTIMIZER_ADAMW = 2 };

typedef struct fpo_optimizer fpo_optimizer;
typedef struct fpo_optimizer_config {
    uint32_t struct_size;
    int32_t kind;         /* FPO_OPTIMIZER_...; default ADAM                                    */
    double learning_rate; /* > 0; default 1e-3                                                  */
    double beta1, beta2;  /* in [0, 1); 0.9, 0.999 (Kingma and Ba, arXiv:1412.6980)             */
    double epsilon;       /* > 0; 1e-8, added to the root of the bias-corrected second moment   */
    double momentum;      /* SGD only, in [0, 1); 0                                             */
    double weight_decay;  /* >= 0; SGD, ADAM: added to the gradient; ADAMW: decoupled; 0        */
} fpo_optimizer_config;

FPO_API int32_t fpo_optimizer_config_init(fpo_optimizer_config *config, uint32_t struct_size);
FPO_API int32_t fpo_optimizer_create(const fpo_optimizer_config *config, size_t count,
                                     fpo_optimizer **out);
/* One step on `count` parameters, in place. Nothing changes on failure. */
FPO_API int32_t fpo_optimizer_step(fpo_optimizer *optimizer, double *parameters,
                                   const double *gradient);
/* From the next step on. */
FPO_API int32_t fpo_optimizer_set_learning_rate(fpo_optimizer *optimizer, double learning_rate);
/* Moments and the number of steps, not the settings; two calls, as for fpo_build_info(). An
 * optimiser of the same kind and count goes on from them bit for bit; FPO_ERR_FORMAT for others. */
FPO_API int32_t fpo_optimizer_save(fpo_optimizer *optimizer, void *buffer, size_t capacity,
                                   size_t *needed);
FPO_API int32_t fpo_optimizer_load(fpo_optimizer *optimizer, const void *bytes, size_t size);
FPO_API void fpo_optimizer_destroy(fpo_optimizer *optimizer);

/* ------------------------------------------------------------------- Reward models */

/* A reward r(y) of an action y (d): LinearReward r = w . y (+ b), or MLPReward with softplus
 * between linear layers. Parameters are one flat vector; tensors keep the names and the (out, in)
 * shapes of torch.nn.Sequential: "net.0.weight", "net.0.bias", "net.2.weight", ... */
typedef struct fpo_reward_model fpo_reward_model;

typedef struct fpo_tensor {
    char name[64];
    int64_t rows, columns; /* a bias has one column */
    int64_t offset;        /* in elements, in the flat vector */
} fpo_tensor;

/* Parameters start at zero. bias: 0 or 1. */
FPO_API int32_t fpo_reward_model_create_linear(int64_t dimension, int32_t bias,
                                               fpo_reward_model **out);
/* 1 to 64 hidden layers with `hidden` units each. */
FPO_API int32_t fpo_reward_model_create_mlp(int64_t dimension, int32_t hidden_count,
                                            const int64_t *hidden, fpo_reward_model **out);
FPO_API void fpo_reward_model_destroy(fpo_reward_model *model);

FPO_API int32_t fpo_reward_model_dimension(const fpo_reward_model *model, int64_t *out);
FPO_API int32_t fpo_reward_model_parameter_count(const fpo_reward_model *model, int64_t *out);
/* FPO_ERR_DOMAIN past the last tensor, which ends an enumeration. */
FPO_API int32_t fpo_reward_model_tensor(const fpo_reward_model *model, int32_t index,
                                        fpo_tensor *out);
FPO_API int32_t fpo_reward_model_get_parameters(const fpo_reward_model *model, double *out);
FPO_API int32_t fpo_reward_model_set_parameters(fpo_reward_model *model, const double *parameters);
/* Weights normal(0, scale^2), biases 0. */
FPO_API int32_t fpo_reward_model_initialize(fpo_reward_model *model, uint64_t key, double scale);

/* reward (n) of actions (n, d). */
FPO_API int32_t fpo_reward_model_reward_f64(const fpo_reward_model *model, size_t n,
                                            const double *action, size_t lda, double *reward);
/* Slope of the reward in the action (n, d). */
FPO_API int32_t fpo_reward_model_slope_f64(const fpo_reward_model *model, size_t n,
                                           const double *action, size_t lda, double *slope,
                                           size_t lds);
/* Per-sample gradients of the reward in the parameters (n, p). */
FPO_API int32_t fpo_reward_model_gradients_f64(const fpo_reward_model *model, size_t n,
                                               const double *action, size_t lda, double *gradients,
                                               size_t ldg);
/* Gram matrix <g(a_i), g(b_j)> (n, m) by ghost inner products: no gradient is formed. */
FPO_API int32_t fpo_reward_model_gram_f64(const fpo_reward_model *model, size_t n, const double *a,
                                          size_t lda, size_t m, const double *b, size_t ldb,
                                          double *gram, size_t ldgram);
/* Mean loss over n samples and its gradient (p). reference NULL: squared error (r - label)^2;
 * otherwise Bradley-Terry with soft label in [0, 1], -label log s - (1 - label) log(1 - s),
 * s = sigmoid(r(action) - r(reference)). `gradient` may be NULL. */
FPO_API int32_t fpo_reward_model_loss_f64(const fpo_reward_model *model, size_t n,
                                          const double *action, size_t lda, const double *reference,
                                          size_t ldr, const double *label, double *loss,
                                          double *gradient);

/* The direction w = (H + damping I)^-1 gbar (p) of the exact penalty: H the Gauss-Newton Hessian
 * of the loss on the n training samples (squared error without its factor 2 if reference is NULL,
 * else Bradley-Terry), gbar the mean reward gradient over the m policy samples. n = 0 or m = 0
 * writes nothing. FPO_ERR_CONVERGENCE too if the Gram form finds damping too small for double. */
FPO_API int32_t fpo_reward_model_steering_direction_f64(
    const fpo_reward_model *model, size_t n, const double *action, size_t lda,
    const double *reference, size_t ldr, size_t m, const double *policy_action, size_t ldp,
    double damping, int32_t solver, double tolerance, int64_t max_iterations, double *direction);

/* The penalty P = e A of each action and its slope in the action (n, d), `slope` may be NULL.
 *   e   label NULL: 1 (practical). Otherwise r - label, or with references
 *       sigmoid(r - r_reference) - label (relaxed with the oracle's label, residual with an
 *       estimated one). label_slope (n, d) is the label's own slope in the action; NULL holds the
 *       label constant.
 *   A   direction NULL: <v, g(action)> (or <v, v> if shift_invariant); else <v, direction>.
 *   v   g(action), or g(action) - g(reference) with references. */
FPO_API int32_t fpo_reward_model_penalty_f64(
    const fpo_reward_model *model, size_t n, const double *action, size_t lda,
    const double *reference, size_t ldr, const double *label, const double *label_slope, size_t ldl,
    const double *direction, int32_t shift_invariant, double *penalty, double *slope, size_t lds);

/* ----------------------------------------------------------------- Language models */

/* Llama-type decoders (Llama 2 and 3, SmolLM2, Qwen2: RMSNorm, rotary positions, grouped-query
 * attention, SwiGLU) with frozen weights, trained through LoRA adapters. Arithmetic is in single
 * precision whatever the weights are stored in: parameters, gradients, logits and hidden states are
 * float; per-token statistics and coefficients double.
 *
 * A batch is ragged: sequence i (0 <= i < n) is tokens[offsets[i]] ... tokens[offsets[i + 1] - 1],
 * offsets (n + 1) rise from 0, a sequence has at most max_position_embeddings tokens and may be empty.
 * Arrays "as tokens" have offsets[n] elements. The first token of a sequence has nothing before it:
 * its log-probability is 0, and its weight or coefficient is ignored. */

/* How weights are kept: 4, 2 or about 1 byte each. INT8 has one scale for each row. */
enum { FPO_STORAGE_FLOAT32 = 0, FPO_STORAGE_BFLOAT16 = 1, FPO_STORAGE_INT8 = 2 };
/* What the rows of a checkpoint hold. */
enum { FPO_ELEMENT_FLOAT32 = 0, FPO_ELEMENT_FLOAT16 = 1, FPO_ELEMENT_BFLOAT16 = 2 };
/* Rotary frequencies: as they are; divided by rope_factor; or Llama 3's scaling by wavelength. */
enum { FPO_ROPE_DEFAULT = 0, FPO_ROPE_LINEAR = 1, FPO_ROPE_LLAMA3 = 2 };

/* Fields are named as in the checkpoint's config.json. */
typedef struct fpo_language_model_config {
    uint32_t struct_size;
    int32_t storage;                 /* FPO_STORAGE_...; BFLOAT16                                */
    int32_t vocab_size;              /* required, as all sizes without a default here            */
    int32_t hidden_size;
    int32_t intermediate_size;
    int32_t num_hidden_layers;
    int32_t num_attention_heads;
    int32_t num_key_value_heads;     /* divides num_attention_heads; 0: as many                  */
    int32_t head_dim;                /* even, <= 256; 0: hidden_size / num_attention_heads       */
    int32_t max_position_embeddings; /* 2048; above 16384 it counts as 16384                     */
    int32_t tie_word_embeddings;     /* 1: the head is the embedding, one copy for both; 0       */
    int32_t qkv_bias;                /* 1: q, k and v have biases (Qwen2); 0                     */
    int32_t rope_type;               /* FPO_ROPE_...; DEFAULT                                    */
    int32_t rope_original_max_position_embeddings; /* LLAMA3: 8192                               */
    double rms_norm_eps;             /* 1e-5                                                     */
    double rope_theta;               /* 10000                                                    */
    double rope_factor;              /* LINEAR, LLAMA3: 8                                        */
    double rope_low_freq_factor;     /* LLAMA3: 1                                                */
    double rope_high_freq_factor;    /* LLAMA3: 4                                                */
} fpo_language_model_config;

FPO_API int32_t fpo_language_model_config_init(fpo_language_model_config *config,
                                               uint32_t struct_size);

/* Weights, loaded once and then never changed: after fpo_language_model_finish() any number of
 * threads, adapters and generations may use one model at once. Adapters and generations keep the
 * model alive: it may be destroyed before them. */
typedef struct fpo_language_model fpo_language_model;

FPO_API int32_t fpo_language_model_create(const fpo_language_model_config *config,
                                          fpo_language_model **out);
FPO_API void fpo_language_model_destroy(fpo_language_model *model);

/* The tensors that the model consists of, under their checkpoint names
 * ("model.layers.0.self_attn.q_proj.weight"): `index` 0, 1, ... until FPO_ERR_DOMAIN. A vector has one
 * column; `offset` is 0. */
FPO_API int32_t fpo_language_model_tensor(const fpo_language_model *model, int32_t index,
                                          fpo_tensor *out);

/* Stores rows first ... first + count - 1 of the tensor `name`, which has shape (rows, columns) in
 * the checkpoint (columns 1 for a vector); `data` holds the count rows as FPO_ELEMENT_... `element`,
 * `ld` elements apart. An unknown name or another shape is FPO_ERR_SHAPE and says what was expected;
 * NaN and infinity are FPO_ERR_NONFINITE with the tensor's name. */
FPO_API int32_t fpo_language_model_load(fpo_language_model *model, const char *name, int64_t rows,
                                        int64_t columns, int64_t first, int64_t count,
                                        int32_t element, const void *data, size_t ld);

/* The names of the tensors with rows still to be loaded, one a line, empty if there are none. Two
 * calls, as for fpo_build_info(). */
FPO_API int32_t fpo_language_model_missing(const fpo_language_model *model, char *buffer,
                                           size_t capacity, size_t *needed);

/* Ends loading; FPO_ERR_STATE names what is missing. Every function below needs a finished model. */
FPO_API int32_t fpo_language_model_finish(fpo_language_model *model);

/* Bytes that the weights take. */
FPO_API int32_t fpo_language_model_bytes(const fpo_language_model *model, int64_t *out);

/* ---- LoRA adapters: y = W x + (alpha / rank) B A x for each target (Hu et al., arXiv:2106.09685) */

enum {
    FPO_LORA_Q = 1,
    FPO_LORA_K = 2,
    FPO_LORA_V = 4,
    FPO_LORA_O = 8,
    FPO_LORA_GATE = 16,
    FPO_LORA_UP = 32,
    FPO_LORA_DOWN = 64,
    FPO_LORA_ALL = 127
};

typedef struct fpo_lora_config {
    uint32_t struct_size;
    int32_t rank;      /* 1 to 1024; 16                                                          */
    int32_t targets;   /* sum of FPO_LORA_... constants; Q + V                                   */
    int32_t rslora;    /* 1: the scale is alpha / sqrt(rank) (arXiv:2312.03732); 0               */
    int32_t recompute; /* 1: training keeps the blocks' inputs only and computes each block twice
                        * over: less memory, the same bits; 0                                    */
    int32_t reserved;  /* 0                                                                      */
    double alpha;      /* > 0; 32                                                                */
    double dropout;    /* 0 <= dropout < 1, of what enters A, in training only; 0                */
} fpo_lora_config;

FPO_API int32_t fpo_lora_config_init(fpo_lora_config *config, uint32_t struct_size);

/* An adapter's parameters: one flat vector (p), all layers' A and B. New ones are all zero; A from
 * fpo_lora_initialize(). */
typedef struct fpo_lora fpo_lora;

FPO_API int32_t fpo_lora_create(const fpo_language_model *model, const fpo_lora_config *config,
                                fpo_lora **out);
FPO_API void fpo_lora_destroy(fpo_lora *lora);
FPO_API int32_t fpo_lora_parameter_count(const fpo_lora *lora, int64_t *out);
/* Tensor `index`: "layers.0.self_attn.q_proj.lora_A.weight" (rank, in), then ".lora_B.weight"
 * (out, rank), targets in the order of the constants, then the next layer. */
FPO_API int32_t fpo_lora_tensor(const fpo_lora *lora, int32_t index, fpo_tensor *out);
/* A uniform on +-1/sqrt(in), as PEFT has it, B zero. */
FPO_API int32_t fpo_lora_initialize(fpo_lora *lora, uint64_t key);
FPO_API int32_t fpo_lora_get_parameters(const fpo_lora *lora, float *out);       /* (p) */
FPO_API int32_t fpo_lora_set_parameters(fpo_lora *lora, const float *parameters); /* (p) */

/* The gradient (p) is added to by the functions of training; zero in a new adapter. */
FPO_API int32_t fpo_lora_get_gradient(const fpo_lora *lora, float *out);
FPO_API int32_t fpo_lora_set_gradient(fpo_lora *lora, const float *gradient); /* NULL: zeros */
/* gradient *= factor */
FPO_API int32_t fpo_lora_scale_gradient(fpo_lora *lora, double factor);
/* The Euclidean norm of the gradient; may be +infinity or NaN after an overflow. */
FPO_API int32_t fpo_lora_gradient_norm(const fpo_lora *lora, double *out);
/* One step of an optimiser along the gradient, which stays as it is. The adapter keeps the moments
 * (float) and counts the steps; config->kind must not change on the way. FPO_ERR_NONFINITE, with
 * nothing changed, if the gradient is not finite. */
FPO_API int32_t fpo_lora_step(fpo_lora *lora, const fpo_optimizer_config *config);
/* The complete state of training (parameters, moments, steps) as bytes; two calls, as for
 * fpo_build_info(). An adapter of the same model and config goes on bit for bit. */
FPO_API int32_t fpo_lora_save(const fpo_lora *lora, void *buffer, size_t capacity, size_t *needed);
FPO_API int32_t fpo_lora_load(fpo_lora *lora, const void *bytes, size_t size);

/* ---- Evaluation; lora NULL: the model as it is */

/* log_p, entropy (of the distribution that the token was drawn from, nats) and greedy (1 where the
 * token is the most likely one), all as tokens; any may be NULL. */
FPO_API int32_t fpo_language_model_log_probabilities(const fpo_language_model *model, fpo_lora *lora,
                                                     size_t n, const int64_t *offsets,
                                                     const int32_t *tokens, double *log_p,
                                                     double *entropy, int32_t *greedy);

/* The same for n continuations of one context, which is computed once: context (m), m >= 1, offsets and
 * tokens are the continuations'. Here every token has something before it. */
FPO_API int32_t fpo_language_model_continuations(const fpo_language_model *model, fpo_lora *lora,
                                                 size_t m, const int32_t *context, size_t n,
                                                 const int64_t *offsets, const int32_t *tokens,
                                                 double *log_p, double *entropy, int32_t *greedy);

/* Hidden states at `layer`: 0 the embeddings, k the output of block k, and num_hidden_layers the
 * output of the last block after the final norm (as `hidden_states` of Transformers).
 * ALL: out (offsets[n], hidden_size); LAST, MEAN: out (n, hidden_size), zeros for an empty sequence. */
enum { FPO_POOLING_ALL = 0, FPO_POOLING_LAST = 1, FPO_POOLING_MEAN = 2 };
FPO_API int32_t fpo_language_model_hidden_states(const fpo_language_model *model, fpo_lora *lora,
                                                 int32_t layer, int32_t pooling, size_t n,
                                                 const int64_t *offsets, const int32_t *tokens,
                                                 float *out, size_t ld);

/* Logits (n, vocab_size) of one sequence of n tokens, all positions. Large; for tests. */
FPO_API int32_t fpo_language_model_logits(const fpo_language_model *model, fpo_lora *lora, size_t n,
                                          const int32_t *tokens, float *logits, size_t ld);

/* ---- Training: all add to the adapter's gradient. The dropout masks follow from dropout_key (one
 * child key for each sequence of the call); it is ignored where dropout is 0. */

/* loss = sum_t weight_t (-log p_t), in one pass, one sequence's activations at a time: supervised
 * fine-tuning with weight_t = mask_t / (tokens in the mask). weights as tokens; log_p as tokens, or
 * NULL (0 where the weight is 0: such rows of the head are not computed). */
FPO_API int32_t fpo_lora_loss(fpo_lora *lora, size_t n, const int64_t *offsets,
                              const int32_t *tokens, const double *weights, uint64_t dropout_key,
                              double *loss, double *log_p);

/* Any other objective of log-probabilities, in two calls: forward keeps the activations of the
 * whole batch; backward takes c_t = d objective / d log p_t (as tokens) and adds
 * sum_t c_t d log p_t / d parameters to the gradient. `mask` (as tokens, NULL: all) is 1 where log p
 * is wanted: elsewhere log_p (and entropy) are 0 and coefficients are ignored. entropy may be NULL.
 * backward without a forward before it, or with parameters changed since, is FPO_ERR_STATE; it ends
 * the forward's life. */
FPO_API int32_t fpo_lora_forward(fpo_lora *lora, size_t n, const int64_t *offsets,
                                 const int32_t *tokens, const int32_t *mask, uint64_t dropout_key,
                                 double *log_p, double *entropy);
FPO_API int32_t fpo_lora_backward(fpo_lora *lora, const double *coefficients);

/* ---- Generation: candidates of each prompt share one computation of the prompt */

typedef struct fpo_generation_config {
    uint32_t struct_size;
    int32_t candidates;     /* continuations of each prompt; 1                                    */
    int32_t max_new_tokens; /* 1 to max_position_embeddings - longest prompt; 64                  */
    int32_t min_new_tokens; /* before that many, stop tokens have probability 0; 0                */
    int32_t greedy;         /* 1: the most likely token; temperature, top_k, top_p are ignored; 0 */
    int32_t top_k;          /* 0: all                                                             */
    int32_t max_batch;      /* candidates decoded at a time, at least one prompt's; 64            */
    int32_t reserved;       /* 0                                                                  */
    double temperature;     /* > 0; 1                                                             */
    double top_p;           /* 0 < top_p <= 1; after top_k, of the tempered distribution; 1       */
} fpo_generation_config;

FPO_API int32_t fpo_generation_config_init(fpo_generation_config *config, uint32_t struct_size);

typedef struct fpo_generation fpo_generation;

/* n prompts (not empty) as a ragged batch; stop_tokens (stop_count) end a candidate; keys
 * (n * candidates), one for each candidate, NULL if greedy: what a candidate draws depends on its
 * prompt and its key alone. The adapter (NULL: none) is copied: training may go on. */
FPO_API int32_t fpo_generation_create(const fpo_language_model *model, fpo_lora *lora,
                                      const fpo_generation_config *config, size_t n,
                                      const int64_t *offsets, const int32_t *tokens,
                                      size_t stop_count, const int32_t *stop_tokens,
                                      const uint64_t *keys, fpo_generation **out);
FPO_API void fpo_generation_destroy(fpo_generation *generation);

/* Up to `steps` steps: each gives every candidate that is decoded at the time one token. `*running`
 * (may be NULL) is how many candidates are not finished; 0 is the end. */
FPO_API int32_t fpo_generation_step(fpo_generation *generation, int64_t steps, int64_t *running);

/* What there is so far, candidate j of prompt i in row i * candidates + j: lengths (rows), tokens and
 * log_p (rows, max_new_tokens) with -1 and 0 beyond a row's length, reasons (rows) FPO_FINISH_...;
 * any may be NULL. A stop token is part of its row. log_p is the model's own, whatever temperature,
 * top_k, top_p and min_new_tokens do: that of fpo_language_model_log_probabilities(). */
enum { FPO_FINISH_RUNNING = 0, FPO_FINISH_STOP = 1, FPO_FINISH_LENGTH = 2 };
FPO_API int32_t fpo_generation_results(const fpo_generation *generation, int64_t *lengths,
                                       int32_t *tokens, double *log_p, int32_t *reasons);

/* ------------------------------------------------------------------- Text encoders */

/* Bidirectional encoders: BERT, RoBERTa, DeBERTa-v2 and v3 (arXiv:1810.04805, 1907.11692,
 * 2006.03654), in single precision. Texts come as a ragged batch, as for language models: text i is
 * tokens[offsets[i]] ... tokens[offsets[i + 1] - 1], special tokens ([CLS], [SEP]) included. A text
 * has 1 to fpo_text_encoder_max_length() tokens. `types` (as tokens, NULL: all 0) are token types.
 * Texts do not interact: what comes of one does not depend on the others of its batch. */
enum { FPO_ENCODER_BERT = 0, FPO_ENCODER_ROBERTA = 1, FPO_ENCODER_DEBERTA_V2 = 2 };
enum {
    FPO_ACTIVATION_GELU = 0, /* x Phi(x)                  */
    FPO_ACTIVATION_GELU_TANH = 1,
    FPO_ACTIVATION_TANH = 2,
    FPO_ACTIVATION_RELU = 3
};
/* One vector (hidden_size) for a text. */
enum {
    FPO_POOLER_MEAN = 0,   /* the mean over the text's tokens                                     */
    FPO_POOLER_CLS = 1,    /* the first token                                                     */
    FPO_POOLER_TANH = 2,   /* tanh(dense(first token)), "pooler.dense" (BERT)                     */
    FPO_POOLER_CONTEXT = 3 /* gelu(dense(first token)), "pooler.dense" (DeBERTa)                  */
};

/* Fields are named as in the checkpoint's config.json, lists as flags. */
typedef struct fpo_text_encoder_config {
    uint32_t struct_size;
    int32_t family;                  /* FPO_ENCODER_...; BERT                                     */
    int32_t storage;                 /* FPO_STORAGE_... of the linear weights; FLOAT32            */
    int32_t vocab_size;              /* required, as all sizes without a default here             */
    int32_t hidden_size;
    int32_t intermediate_size;
    int32_t num_hidden_layers;
    int32_t num_attention_heads;     /* divides hidden_size                                       */
    int32_t max_position_embeddings; /* 512; RoBERTa: pad_token_id + 1 more than the tokens of a text */
    int32_t type_vocab_size;         /* 2; 0: none                                                */
    int32_t hidden_act;              /* FPO_ACTIVATION_...; GELU                                  */
    int32_t pad_token_id;            /* RoBERTa: positions begin after it; 1                      */
    int32_t pooler;                  /* 1: there is a "pooler.dense"; 0                           */
    /* DeBERTa */
    int32_t embedding_size;          /* 0: hidden_size                                            */
    int32_t position_biased_input;   /* 1: absolute positions enter the input; 0                  */
    int32_t relative_attention;      /* 1                                                         */
    int32_t content_to_position;     /* 1: "c2p" is in pos_att_type; 1                            */
    int32_t position_to_content;     /* 1: "p2c" is in pos_att_type; 1                            */
    int32_t share_att_key;           /* 1: positions go through query_proj and key_proj; 1        */
    int32_t position_buckets;        /* logarithmic buckets of distances; 256; -1: none           */
    int32_t max_relative_positions;  /* -1: max_position_embeddings                               */
    int32_t norm_rel_ebd;            /* 1: "layer_norm"; 1                                        */
    int32_t conv_kernel_size;        /* odd; 0: no convolution                                    */
    int32_t conv_act;                /* FPO_ACTIVATION_...; TANH                                  */
    double layer_norm_eps;           /* 1e-12                                                     */
} fpo_text_encoder_config;

FPO_API int32_t fpo_text_encoder_config_init(fpo_text_encoder_config *config,
                                             uint32_t struct_size);

/* Weights, loaded once and then never changed, like an fpo_language_model: any number of text
 * rewards share an encoder, and keep it alive. */
typedef struct fpo_text_encoder fpo_text_encoder;

FPO_API int32_t fpo_text_encoder_create(const fpo_text_encoder_config *config,
                                        fpo_text_encoder **out);
FPO_API void fpo_text_encoder_destroy(fpo_text_encoder *encoder);

/* The tensors, under their checkpoint names without the model's prefix ("bert.", "roberta.",
 * "deberta."): `index` 0, 1, ... until FPO_ERR_DOMAIN. A vector has one column, a convolution
 * (out, in, kernel) in * kernel columns; `offset` is 0. */
FPO_API int32_t fpo_text_encoder_tensor(const fpo_text_encoder *encoder, int32_t index,
                                        fpo_tensor *out);
/* These four as for language models. Loading after `finish` is FPO_ERR_STATE. */
FPO_API int32_t fpo_text_encoder_load(fpo_text_encoder *encoder, const char *name, int64_t rows,
                                      int64_t columns, int64_t first, int64_t count,
                                      int32_t element, const void *data, size_t ld);
FPO_API int32_t fpo_text_encoder_missing(const fpo_text_encoder *encoder, char *buffer,
                                         size_t capacity, size_t *needed);
FPO_API int32_t fpo_text_encoder_finish(fpo_text_encoder *encoder);
FPO_API int32_t fpo_text_encoder_bytes(const fpo_text_encoder *encoder, int64_t *out);
/* The most tokens that a text may have. */
FPO_API int32_t fpo_text_encoder_max_length(const fpo_text_encoder *encoder, int64_t *out);

/* features (n, hidden_size): a row for each text, by FPO_POOLER_... `pooler`. */
FPO_API int32_t fpo_text_encoder_features(const fpo_text_encoder *encoder, int32_t pooler,
                                          size_t n, const int64_t *offsets, const int32_t *tokens,
                                          const int32_t *types, float *features, size_t ld);
/* Hidden states (offsets[n], hidden_size) after `layer` blocks; 0: the embeddings. */
FPO_API int32_t fpo_text_encoder_hidden_states(const fpo_text_encoder *encoder, int32_t layer,
                                               size_t n, const int64_t *offsets,
                                               const int32_t *tokens, const int32_t *types,
                                               float *out, size_t ld);

/* -------------------------------------------------------------------- Text rewards */

/* r(text) = head(pooled output of an encoder). What is trainable is one flat vector of floats (p),
 * the reward's own copy; the score's gradients g(text) are taken in it. */
enum {
    FPO_TRAINABLE_HEAD = 0,   /* the head alone                                                   */
    FPO_TRAINABLE_BLOCKS = 1, /* the last `blocks` blocks, the pooler and the head                */
    FPO_TRAINABLE_LORA = 2,   /* adapters on query, key, value and attention output of all blocks,
                               * and the head                                                     */
    FPO_TRAINABLE_ALL = 3
};

typedef struct fpo_text_reward_config {
    uint32_t struct_size;
    int32_t pooler;        /* FPO_POOLER_...; MEAN                                                */
    int32_t trainable;     /* FPO_TRAINABLE_...; HEAD                                             */
    int32_t blocks;        /* BLOCKS: how many, from the last; 1                                  */
    int32_t rank;          /* LORA: 1 to 1024; 16                                                 */
    int32_t head_bias;     /* 1: the head's last layer has a bias; 1                              */
    int32_t head_hidden;   /* 0: a linear head; m: linear to m, activation, linear; 0             */
    int32_t head_act;      /* FPO_ACTIVATION_...; TANH                                            */
    double alpha;          /* LORA: > 0; 32                                                       */
    double head_scale;     /* standard deviation of the head's initial weights, >= 0; 0.02        */
} fpo_text_reward_config;

FPO_API int32_t fpo_text_reward_config_init(fpo_text_reward_config *config, uint32_t struct_size);

typedef struct fpo_text_reward fpo_text_reward;

/* The encoder is finished. From `key`: the head's weights normal, its biases 0; A uniform on
 * +-1/sqrt(in), B zero. */
FPO_API int32_t fpo_text_reward_create(const fpo_text_encoder *encoder,
                                       const fpo_text_reward_config *config, uint64_t key,
                                       fpo_text_reward **out);
FPO_API void fpo_text_reward_destroy(fpo_text_reward *reward);

/* Tensors of the flat vector: the encoder's by their names; "<module>.lora_A.weight" (rank, in) and
 * "<module>.lora_B.weight" (out, rank); the head's "head.weight" (1, hidden_size) and "head.bias", or
 * "head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias" with head_hidden. */
FPO_API int32_t fpo_text_reward_parameter_count(const fpo_text_reward *reward, int64_t *out);
FPO_API int32_t fpo_text_reward_tensor(const fpo_text_reward *reward, int32_t index,
                                       fpo_tensor *out);
FPO_API int32_t fpo_text_reward_get_parameters(const fpo_text_reward *reward, float *out);
FPO_API int32_t fpo_text_reward_set_parameters(fpo_text_reward *reward, const float *parameters);

/* scores (n); features (n, hidden_size): what the head sees, and with a linear head the score's
 * gradient in "head.weight". */
FPO_API int32_t fpo_text_reward_scores(fpo_text_reward *reward, size_t n, const int64_t *offsets,
                                       const int32_t *tokens, const int32_t *types,
                                       double *scores);
FPO_API int32_t fpo_text_reward_features(fpo_text_reward *reward, size_t n, const int64_t *offsets,
                                         const int32_t *tokens, const int32_t *types,
                                         float *features, size_t ld);

/* Training on any objective of scores, in two calls as for language models: forward keeps the
 * activations; backward takes c_i = d objective / d score_i (n) and adds
 * sum_i c_i d score_i / d parameters to the gradient. backward without a forward before it, or with
 * parameters changed since, is FPO_ERR_STATE; it ends the forward's life.
 * dropout in [0, 1): of the embeddings, of what attention and feed-forward add in each block, and of
 * the pooled output (not of attention probabilities); 0: none, the key is ignored. A text's masks
 * depend on the key and its place in the batch. */
FPO_API int32_t fpo_text_reward_forward(fpo_text_reward *reward, size_t n, const int64_t *offsets,
                                        const int32_t *tokens, const int32_t *types,
                                        double dropout, uint64_t key, double *scores);
FPO_API int32_t fpo_text_reward_backward(fpo_text_reward *reward, const double *coefficients);

/* The gradient (p): zero at first, added to by backward. These as for fpo_lora_... */
FPO_API int32_t fpo_text_reward_get_gradient(const fpo_text_reward *reward, float *out);
FPO_API int32_t fpo_text_reward_set_gradient(fpo_text_reward *reward, const float *gradient);
FPO_API int32_t fpo_text_reward_scale_gradient(fpo_text_reward *reward, double factor);
FPO_API int32_t fpo_text_reward_gradient_norm(const fpo_text_reward *reward, double *out);
FPO_API int32_t fpo_text_reward_step(fpo_text_reward *reward, const fpo_optimizer_config *config);
FPO_API int32_t fpo_text_reward_save(const fpo_text_reward *reward, void *buffer, size_t capacity,
                                     size_t *needed);
FPO_API int32_t fpo_text_reward_load(fpo_text_reward *reward, const void *bytes, size_t size);

/* gram (n, n): inner products <g_i, g_j> of the texts' gradients, without dropout; no gradient is
 * ever formed as a whole, sums over layers and tiles are in double.
 * gradients (n, p): row i is g_i. Large; for tests and small p. */
FPO_API int32_t fpo_text_reward_gram(fpo_text_reward *reward, size_t n, const int64_t *offsets,
                                     const int32_t *tokens, const int32_t *types, double *gram,
                                     size_t ld);
FPO_API int32_t fpo_text_reward_gradients(fpo_text_reward *reward, size_t n,
                                          const int64_t *offsets, const int32_t *tokens,
                                          const int32_t *types, float *gradients, size_t ld);

/* -------------------------------------------------------------------- Environments */

/* The controlled environments of arXiv:2605.04266: a policy N(theta, sigma^2 I) over actions y (d)
 * climbs the reward model by pathwise gradients, minus an action cost and lambda times a penalty;
 * then the reward model is retrained on fresh labels of the policy's own actions.
 *
 *   utility   U(y)   = utility_peak exp(-utility_decay |y - ideal|^2), ideal = utility_target on the
 *                      signal coordinates (the first signal_dimension) and 0 on the noise ones
 *   label     U~(y)  = U(y) + label_bias tanh(y_k) + label_noise z,  k = signal_dimension
 *   objective f(y)   = r(y) - action_cost |y - centre|^2 - penalty_weight P(y)
 *   policy    theta += rate clip(grad f(theta + sigma z)), inner_steps times a round
 *   labels    labels_per_round actions theta + sigma z, of which the last label_buffer are kept
 *   reward    reward_steps optimiser steps a round on the mean squared error over the buffer
 *   annealing sigma, rate = final + (initial - final) (1 - (round / rounds)^annealing_power)
 */
enum { FPO_REWARD_LINEAR = 0, FPO_REWARD_MLP = 1 };
enum { FPO_PRECISION_FLOAT32 = 0, FPO_PRECISION_FLOAT64 = 1 };
enum { FPO_GRADIENT_ANALYTIC = 0, FPO_GRADIENT_FORWARD_DIFFERENCE = 1 };
#define FPO_MAX_HIDDEN 8

/* Optimisers of the reward model: SGD decays the weights by (1 - weight_decay) a step, as
 * published for the linear environment; ADAM adds weight_decay * w to the gradient, as published
 * for the neural one; ADAMW decouples. */
typedef struct fpo_environment {
    uint32_t struct_size;
    int32_t reward_model;               /* FPO_REWARD_...                                       */
    int32_t hidden_count;               /* 0 to FPO_MAX_HIDDEN; 0 iff LINEAR                    */
    int32_t hidden[FPO_MAX_HIDDEN];
    int32_t reward_bias;                /* LINEAR only: r = w . y + b                           */
    int32_t precision;                  /* FPO_PRECISION_...                                    */
    int32_t gradient;                   /* FPO_GRADIENT_...                                     */
    int32_t dimension;
    int32_t signal_dimension;           /* 1 to dimension - 1                                   */
    int32_t rounds;
    int32_t inner_steps;
    int32_t labels_per_round;
    int32_t label_buffer;               /* >= labels_per_round                                  */
    int32_t reward_steps;
    int32_t reward_optimizer;           /* FPO_OPTIMIZER_...                                    */
    int32_t reserved;                   /* 0                                                    */
    double difference_step;             /* of the forward difference                            */
    double utility_peak, utility_target, utility_decay;
    double action_cost;
    double penalty_weight;              /* lambda                                               */
    double policy_learning_rate, policy_learning_rate_final;
    double gradient_clip;               /* per coordinate; +infinity: none                      */
    double exploration, exploration_final; /* sigma of the policy                               */
    double annealing_power;
    double label_exploration;           /* factor on sigma when labels are drawn; 1             */
    double label_noise;                 /* sigma of z in the label                              */
    double label_bias;
    double reward_learning_rate;
    double weight_decay;
    double initial_weight_scale;        /* sigma of the initial weights                         */
    double initial_signal_weight;       /* LINEAR only: mean of the initial signal weights      */
} fpo_environment;

/* Published defaults: `config` is FPO_CONFIG_ENVIRONMENT_LINEAR or ..._NEURAL. */
FPO_API int32_t fpo_environment_init(fpo_environment *environment, uint32_t struct_size,
                                     int32_t config);

/* Penalties of the environments; see the section on penalties for the formulas. */
enum {
    FPO_PENALTY_MYOPIC = 0,
    FPO_PENALTY_PRACTICAL = 1,
    FPO_PENALTY_RELAXED = 2,
    FPO_PENALTY_EXACT = 3,
    FPO_PENALTY_RESIDUAL = 4
};
enum { FPO_CURVATURE_INVERSE = 0, FPO_CURVATURE_IDENTITY = 1 };
enum { FPO_ALIGNMENT_MEAN = 0, FPO_ALIGNMENT_OWN = 1, FPO_ALIGNMENT_UNIT = 2 };

/* How the residual penalty estimates utility from the labels that have been bought.
 *   RIDGE   u_hat(y) = ubar + (y - mu) . beta over the last estimator_buffer labels, as
 *           fpo_ridge_f64(); forgets its slope when exploration ends
 *   KALMAN  a Kalman filter over all labels on the level, slope and isotropic curvature of the
 *           utility around the policy; unlearns only as the policy moves. Derivation:
 *           docs/math/utility-filter.md */
enum { FPO_ESTIMATOR_RIDGE = 0, FPO_ESTIMATOR_KALMAN = 1 };

typedef struct fpo_penalty {
    uint32_t struct_size;
    int32_t kind;               /* FPO_PENALTY_...                                              */
    double weight;              /* lambda; negative: the environment's penalty_weight           */
    int32_t oracle_gradient;    /* RELAXED, EXACT: slope of the oracle's utility in the policy's
                                 * gradient, 1 yes, 0 no, -1 as published (linear yes, neural no);
                                 * -1, and 1 for EXACT: its reward tends to the utility, so that
                                 * with the oracle's value alone no slope would be left          */
    int32_t curvature;          /* EXACT, RESIDUAL: FPO_CURVATURE_..., H^-1 or I in its place   */
    int32_t alignment;          /* EXACT, RESIDUAL: FPO_ALIGNMENT_..., what e is multiplied by:
                                 * MEAN <g, H^-1 gbar>, OWN <g, H^-1 g>, or 1, which is where MEAN
                                 * goes as damping vanishes if r has an output bias: with lambda 1
                                 * the policy then climbs the label's utility, or its estimate  */
    int32_t estimator;          /* RESIDUAL: FPO_ESTIMATOR_...; KALMAN                          */
    int32_t estimator_gradient; /* RESIDUAL: slope of the estimate in the policy's gradient     */
    int32_t estimator_buffer;   /* RIDGE: labels it remembers; 0: the environment's buffer      */
    int32_t estimator_curvature; /* KALMAN: whether it estimates a curvature; 1                 */
    int32_t reserved;           /* 0                                                            */
    double damping;             /* delta > 0 of H + delta I                                     */
    double kappa;               /* RIDGE: > 0                                                   */
    double utility_scale;       /* KALMAN: A > 0, prior deviation of utility; overstate it      */
    double length_scale;        /* KALMAN: > 0, distance over which utility varies by A         */
    double noise_scale;         /* KALMAN: > 0, first guess of a label's standard deviation     */
    double noise_memory;        /* KALMAN: 0 to 1, weight of a label in the estimate of that    */
} fpo_penalty;

/* The defaults of a kind. The weight defaults to -1, and to 1 for EXACT, where lambda = 1 is the
 * leader's true gradient. */
FPO_API int32_t fpo_penalty_init(fpo_penalty *penalty, uint32_t struct_size, int32_t kind);

/* Many games of one environment, one seed each. */
typedef struct fpo_simulation fpo_simulation;

/* What the games start from and draw; NULL where a default is wanted. p is the number of
 * parameters of the reward model, tensors in the order of fpo_reward_model_tensor(). */
typedef struct fpo_simulation_inputs {
    uint32_t struct_size;
    uint32_t reserved;             /* 0                                                         */
    size_t count;                  /* games, at least 1                                         */
    const uint64_t *seeds;         /* (count); required                                         */
    const double *start;           /* (d) theta at round 0; NULL: 0                             */
    const double *centre;          /* (d) centre of the action cost; NULL: 0                    */
    const double *initial_weights; /* (count, p); NULL: drawn from the seeds                    */
    const double *inner_noise;     /* (count, rounds, inner_steps, d); NULL: drawn              */
    const double *label_noise;     /* (count, rounds, labels_per_round, d); NULL: drawn         */
} fpo_simulation_inputs;

FPO_API int32_t fpo_simulation_inputs_init(fpo_simulation_inputs *inputs, uint32_t struct_size);

/* The noise arrays, alone among all inputs, are not copied: they must outlive the handle. */
FPO_API int32_t fpo_simulation_create(const fpo_environment *environment,
                                      const fpo_penalty *penalty,
                                      const fpo_simulation_inputs *inputs, fpo_simulation **out);
FPO_API void fpo_simulation_destroy(fpo_simulation *simulation);

/* Where a trace goes: arrays (count, records) in double, NULL where not wanted, and then not
 * computed; `action` is (count, records, d). The five after `noise` take their time. Record 0 is the initial state; then one after every record_every rounds,
 * taken after the policy's update and before the reward model retrains; the last round is always
 * recorded. fpo_simulation_records() tells how many that makes. */
typedef struct fpo_trace {
    uint32_t struct_size;
    uint32_t reserved;         /* 0                                                             */
    double *utility;           /* U(theta)                                                      */
    double *proxy_reward;      /* r(theta)                                                      */
    double *signal;            /* |theta| over the signal coordinates                           */
    double *noise;             /* |theta| over the noise coordinates                            */
    double *overconfidence;    /* r(theta) - U~(theta), noise-free label                        */
    double *slope_cosine;      /* cosine of grad r and grad U at theta; 0 where one vanishes    */
    double *off_policy_error;  /* root mean square of r - U over probes theta + unit normals    */
    double *sensitivity;       /* |g(theta)|^2                                                  */
    double *penalty;           /* P(theta), not multiplied by lambda                            */
    double *action;            /* theta, (count, records, d)                                    */
} fpo_trace;

FPO_API int32_t fpo_trace_init(fpo_trace *trace, uint32_t struct_size);
FPO_API int32_t fpo_simulation_records(const fpo_simulation *simulation, int64_t record_every,
                                       int64_t *out);

/* Plays up to `rounds` further rounds of every game, and writes the records that fall into them to
 * `trace` (may be NULL), whose arrays span the whole run. `*played` (may be NULL) tells how many
 * rounds all games have finished in this call; it is less than asked for at the end of the game
 * or after a cancel, which is FPO_ERR_CANCELLED and leaves all games at the same round. */
FPO_API int32_t fpo_simulation_step(fpo_simulation *simulation, int64_t rounds,
                                    int64_t record_every, const fpo_trace *trace, int64_t *played);

/* Makes the current or next fpo_simulation_step() return FPO_ERR_CANCELLED at the next round. Any thread. */
FPO_API void fpo_simulation_cancel(fpo_simulation *simulation);

FPO_API int32_t fpo_simulation_round(const fpo_simulation *simulation, int64_t *out);
/* The number p of parameters of one game's reward model. */
FPO_API int32_t fpo_simulation_parameter_count(const fpo_simulation *simulation, int64_t *out);
FPO_API int32_t fpo_simulation_actions(const fpo_simulation *simulation, double *out); /* (count, d) */
FPO_API int32_t fpo_simulation_weights(const fpo_simulation *simulation, double *out); /* (count, p) */

/* The complete state as bytes: a simulation created from the same environment, penalty and inputs
 * and given these bytes goes on bit for bit. Two calls, as for fpo_build_info(). The bytes belong
 * to this version of the library. */
FPO_API int32_t fpo_simulation_save(const fpo_simulation *simulation, void *buffer,
                                    size_t capacity, size_t *needed);
FPO_API int32_t fpo_simulation_load(fpo_simulation *simulation, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* FPO_H */
