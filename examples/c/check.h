/* What the examples share: end with the library's own words, or with the number that is off. */
#ifndef FPO_EXAMPLES_CHECK_H
#define FPO_EXAMPLES_CHECK_H

#include <fpo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Every function that can fail returns a status; fpo_last_error() explains it. */
static inline void check(int32_t status) {
    if (status == FPO_OK) return;
    fprintf(stderr, "%s: %s\n", fpo_status_name(status), fpo_last_error());
    exit(1);
}

static inline void expect(const char *what, int holds) {
    if (holds) return;
    fprintf(stderr, "%s does not hold\n", what);
    exit(1);
}

static inline void expect_near(const char *what, double got, double wanted, double tolerance) {
    if (fabs(got - wanted) <= tolerance) return;
    fprintf(stderr, "%s is %.17g, expected %.17g within %g\n", what, got, wanted, tolerance);
    exit(1);
}

#endif
