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
    lanes_mask_t mask = x < y;
    return (lanes_t)((mask & (lanes_mask_t)a) | (~mask & (lanes_mask_t)b));
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

#endif
