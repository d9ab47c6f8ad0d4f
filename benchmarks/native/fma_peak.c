/* Peak of one core in fused multiply-adds on float: twelve independent chains of the widest vectors
 * the compiler was told of, more than latency times ports. Prints GFLOP/s, the best of many trials. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
enum { WIDTH = 16 };
#else
enum { WIDTH = 8 };
#endif
typedef float lanes __attribute__((vector_size(WIDTH * sizeof(float))));

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int main(void) {
    enum { CHAINS = 12, ITERATIONS = 1 << 20, TRIALS = 40 };
    lanes sum[CHAINS], factor, addend;
    float scale = 0.999f, shift = 1e-3f;
    __asm__ volatile("" : "+m"(scale), "+m"(shift));
    for (int lane = 0; lane < WIDTH; ++lane) {
        factor[lane] = scale;
        addend[lane] = shift;
    }
    memset(sum, 0, sizeof sum);
    double best = 0;
    for (int trial = 0; trial < TRIALS; ++trial) {
        double start = now();
        for (int i = 0; i < ITERATIONS; ++i)
            for (int chain = 0; chain < CHAINS; ++chain) sum[chain] = sum[chain] * factor + addend;
        double flops = 2.0 * WIDTH * CHAINS * ITERATIONS;
        double rate = flops / (now() - start) * 1e-9;
        if (rate > best) best = rate;
    }
    float total = 0;
    for (int chain = 0; chain < CHAINS; ++chain) total += sum[chain][chain % WIDTH];
    __asm__ volatile("" : : "m"(total));
    printf("%.1f\n", best);
    return 0;
}
