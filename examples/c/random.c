/* Random numbers as a pure function: a key and an index give a draw, whatever came before. */
#include "check.h"

#include <string.h>

enum { COUNT = 20000 };

static void mean_and_variance(const double *x, double *mean, double *variance) {
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) sum += x[i];
    *mean = sum / COUNT;
    for (int i = 0; i < COUNT; i++) squares += (x[i] - *mean) * (x[i] - *mean);
    *variance = squares / COUNT;
}

int main(void) {
    static double draws[COUNT], again[COUNT];
    static float single[COUNT];
    double mean, variance;

    uint64_t key = fpo_random_key(2605);
    uint64_t left = fpo_random_fold(key, 0), right = fpo_random_fold(key, 1);
    expect("children differ from each other and the parent", left != right && left != key);

    /* Standard errors: 1/sqrt(12 n) of the uniform mean, 1/sqrt(n) of the normal one. */
    check(fpo_random_uniform_f64(left, COUNT, draws));
    mean_and_variance(draws, &mean, &variance);
    expect_near("uniform mean", mean, 0.5, 4 / sqrt(12.0 * COUNT));
    expect_near("uniform variance", variance, 1 / 12.0, 0.003);
    for (int i = 0; i < COUNT; i++) expect("0 < uniform < 1", draws[i] > 0 && draws[i] < 1);

    check(fpo_random_normal_f64(right, COUNT, draws));
    mean_and_variance(draws, &mean, &variance);
    expect_near("normal mean", mean, 0, 4 / sqrt((double)COUNT));
    expect_near("normal variance", variance, 1, 4 * sqrt(2.0 / COUNT));
    printf("normal: mean %.4f, variance %.4f\n", mean, variance);

    /* Element i depends on (key, i) alone: a shorter stream is a prefix, a repeat is equal. */
    check(fpo_random_normal_f64(right, 7, again));
    expect("a short stream is a prefix", memcmp(draws, again, 7 * sizeof *draws) == 0);

    check(fpo_random_normal_f32(right, COUNT, single));
    for (int i = 0; i < COUNT; i++) expect_near("float draw", (double)single[i], draws[i], 2e-5);
    return 0;
}
