/* Arithmetic on one vector of the CPU level and element type that a kernel module is compiled for.
 *
 * Swift's own operators on SIMD types are loops over the elements, which the optimiser mostly but
 * not always puts together again; the square root it never does. These are vector operations from
 * the start. Header only: they inline into the Swift that imports them. */
#ifndef FPO_LANES_H
#define FPO_LANES_H

#include <stdint.h>

#if defined(ELEMENT_F32)
typedef float element_t;
typedef int32_t element_bits_t;
#else
typedef double element_t;
typedef int64_t element_bits_t;
#endif

#if defined(ELEMENT_F32) && defined(LEVEL_V4)
#define FPO_LANES 16
#elif defined(ELEMENT_F32) || defined(LEVEL_V4)
#define FPO_LANES 8
#else
#define FPO_LANES 4
#endif

typedef element_t lanes_t __attribute__((ext_vector_type(FPO_LANES)));
typedef element_bits_t lanes_mask_t __attribute__((ext_vector_type(FPO_LANES)));

/* The same lanes in double, for what float cannot carry. */
typedef double wide_t __attribute__((ext_vector_type(FPO_LANES)));

#define LANES_INLINE static inline __attribute__((always_inline))

LANES_INLINE lanes_t lanes_add(lanes_t a, lanes_t b) { return a + b; }
LANES_INLINE lanes_t lanes_subtract(lanes_t a, lanes_t b) { return a - b; }
LANES_INLINE lanes_t lanes_multiply(lanes_t a, lanes_t b) { return a * b; }
LANES_INLINE lanes_t lanes_divide(lanes_t a, lanes_t b) { return a / b; }
LANES_INLINE lanes_t lanes_negate(lanes_t a) { return -a; }
LANES_INLINE lanes_t lanes_repeat(element_t a) { return (lanes_t)(a); }

/* a b + c, rounded once. */
LANES_INLINE lanes_t lanes_fma(lanes_t a, lanes_t b, lanes_t c) {
    return __builtin_elementwise_fma(a, b, c);
}
LANES_INLINE lanes_t lanes_sqrt(lanes_t a) { return __builtin_elementwise_sqrt(a); }
LANES_INLINE lanes_t lanes_abs(lanes_t a) { return __builtin_elementwise_abs(a); }

/* x < y ? a : b in each lane; a NaN is not less than anything. */
LANES_INLINE lanes_t lanes_where_less(lanes_t x, lanes_t y, lanes_t a, lanes_t b) {
    return x < y ? a : b;
}

/* The larger of x and a number; a NaN stays a NaN. */
LANES_INLINE lanes_t lanes_at_least(lanes_t x, lanes_t low) { return low > x ? low : x; }

/* a where x has its sign bit set, else b. */
LANES_INLINE lanes_t lanes_where_signed(lanes_t x, lanes_t a, lanes_t b) {
    return (lanes_mask_t)x < 0 ? a : b;
}

/* x 2^n for the integer n in the low bits of `raised`, where x and the result are normal. */
LANES_INLINE lanes_t lanes_scale(lanes_t x, lanes_t raised, element_bits_t shift) {
    return (lanes_t)((lanes_mask_t)x + ((lanes_mask_t)raised << shift));
}

/* 2^n for the integer n in the low bits of x, where 2^n is normal. */
LANES_INLINE lanes_t lanes_power_of_two(lanes_t x, element_bits_t bias, element_bits_t shift) {
    return (lanes_t)(((lanes_mask_t)x + bias) << shift);
}

LANES_INLINE wide_t wide_from(lanes_t a) { return __builtin_convertvector(a, wide_t); }
LANES_INLINE lanes_t wide_round(wide_t a) { return __builtin_convertvector(a, lanes_t); }
LANES_INLINE wide_t wide_repeat(double a) { return (wide_t)(a); }
LANES_INLINE wide_t wide_add(wide_t a, wide_t b) { return a + b; }
LANES_INLINE wide_t wide_subtract(wide_t a, wide_t b) { return a - b; }
LANES_INLINE wide_t wide_multiply(wide_t a, wide_t b) { return a * b; }
LANES_INLINE wide_t wide_divide(wide_t a, wide_t b) { return a / b; }
LANES_INLINE wide_t wide_fma(wide_t a, wide_t b, wide_t c) {
    return __builtin_elementwise_fma(a, b, c);
}
LANES_INLINE wide_t wide_at_least(wide_t a, wide_t low) {
    int64_t __attribute__((ext_vector_type(FPO_LANES))) mask = a < low;
    return (wide_t)((mask & (__typeof__(mask))low) | (~mask & (__typeof__(mask))a));
}

#if defined(ELEMENT_F32)
/* What products of packed weights and rearrangements need; eight lanes stand alone below, so that
 * both levels share them. */
typedef float eight_t __attribute__((ext_vector_type(8)));
typedef uint32_t lanes_words_t __attribute__((ext_vector_type(FPO_LANES)));
typedef int8_t lanes_bytes_t __attribute__((ext_vector_type(FPO_LANES)));

/* Fetches the line at p into the nearest cache; any address is allowed. */
LANES_INLINE void lanes_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

/* The same for a line that will be written. */
LANES_INLINE void lanes_prefetch_write(void *p) { __builtin_prefetch(p, 1, 3); }

/* Two vectors of bfloat16 whose elements alternate at p, widened: the first, and the second. */
LANES_INLINE lanes_t lanes_even_halves(const uint16_t *p) {
    lanes_words_t a;
    __builtin_memcpy(&a, p, sizeof a);
    return (lanes_t)(a << 16);
}
LANES_INLINE lanes_t lanes_odd_halves(const uint16_t *p) {
    lanes_words_t a;
    __builtin_memcpy(&a, p, sizeof a);
    return (lanes_t)(a & 0xffff0000u);
}

/* Bytes, widened. */
LANES_INLINE lanes_t lanes_from_bytes(const int8_t *p) {
    lanes_bytes_t a;
    __builtin_memcpy(&a, p, sizeof a);
    return __builtin_convertvector(__builtin_convertvector(a, lanes_mask_t), lanes_t);
}

/* The first n elements at p, and zeros; or the first n lanes to p. */
LANES_INLINE lanes_t lanes_load_first(const float *p, int64_t n) {
    float a[FPO_LANES] = {0};
    for (int64_t i = 0; i < n; i++) a[i] = p[i];
    lanes_t v;
    __builtin_memcpy(&v, a, sizeof v);
    return v;
}
LANES_INLINE void lanes_store_first(lanes_t v, float *p, int64_t n) {
    float a[FPO_LANES];
    __builtin_memcpy(a, &v, sizeof v);
    for (int64_t i = 0; i < n; i++) p[i] = a[i];
}

/* The sum, or the greatest, of all lanes, halves first: the same bits for the same sixteen. A NaN
 * may be passed over by the latter. */
LANES_INLINE float eight_sum(eight_t a) {
    float b __attribute__((ext_vector_type(4))) = a.lo + a.hi;
    float c __attribute__((ext_vector_type(2))) = b.lo + b.hi;
    return c.x + c.y;
}
LANES_INLINE float lanes_greatest(lanes_t a) {
    float greatest = a[0];
    for (int i = 1; i < FPO_LANES; i++) greatest = a[i] > greatest ? a[i] : greatest;
    return greatest;
}
LANES_INLINE lanes_t lanes_greater(lanes_t a, lanes_t b) { return lanes_where_less(a, b, b, a); }
#if defined(LEVEL_V4)
LANES_INLINE float lanes_sum(lanes_t a, lanes_t b) {
    lanes_t c = a + b;
    return eight_sum(c.lo + c.hi);
}
#else
LANES_INLINE float lanes_sum(lanes_t a, lanes_t b, lanes_t c, lanes_t d) {
    return eight_sum((a + c) + (b + d));
}
#endif

/* An 8 x 8 block, turned over: row i of the result is lane i of the eight vectors. */
LANES_INLINE void eight_turn(const eight_t r[8], float *out, int64_t ld) {
    eight_t a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        a[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = __builtin_shufflevector(a[i], a[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        b[i + 1] = __builtin_shufflevector(a[i], a[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        b[i + 2] = __builtin_shufflevector(a[i + 1], a[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        b[i + 3] = __builtin_shufflevector(a[i + 1], a[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; i++) {
        eight_t low = __builtin_shufflevector(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        eight_t high = __builtin_shufflevector(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
        __builtin_memcpy(out + i * ld, &low, sizeof low);
        __builtin_memcpy(out + (i + 4) * ld, &high, sizeof high);
    }
}
LANES_INLINE void eight_turn_floats(const float *p, int64_t step, float *out, int64_t ld) {
    eight_t r[8];
    for (int i = 0; i < 8; i++) __builtin_memcpy(&r[i], p + i * step, sizeof r[i]);
    eight_turn(r, out, ld);
}
/* bfloat16 that alternate at p with others: the even ones, or the odd ones. */
LANES_INLINE void eight_turn_halves(
    const uint16_t *p, int64_t step, int64_t odd, float *out, int64_t ld
) {
    eight_t r[8];
    for (int i = 0; i < 8; i++) {
        uint32_t a __attribute__((ext_vector_type(8)));
        __builtin_memcpy(&a, p + i * step, sizeof a);
        r[i] = (eight_t)(odd ? a & 0xffff0000u : a << 16);
    }
    eight_turn(r, out, ld);
}
LANES_INLINE void eight_turn_bytes(
    const int8_t *p, int64_t step, const float *scale, float *out, int64_t ld
) {
    eight_t r[8], s;
    __builtin_memcpy(&s, scale, sizeof s);
    for (int i = 0; i < 8; i++) {
        int8_t a __attribute__((ext_vector_type(8)));
        __builtin_memcpy(&a, p + i * step, sizeof a);
        r[i] = s * __builtin_convertvector(a, eight_t);
    }
    eight_turn(r, out, ld);
}
#endif

#endif
