/* What Cython and C agree on for dropout; included by problem.h. */
#ifndef FASTNORM_DROPOUT_PROBLEM_H
#define FASTNORM_DROPOUT_PROBLEM_H

#include <stdint.h>

/* Elements that one Philox counter of each of 16 lanes decides: element 64 g + 16 w + l is kept or dropped by word w of
 * counter 16 g + l. These numbers are what a seed means: they never change. */
enum { FN_GROUP = 64, FN_COUNTERS = 16 };

typedef struct {
    const char *x;      /* contiguous */
    char *y;            /* x itself, or memory that x does not touch */
    uint8_t *mask;      /* 1 where an element is kept; or NULL */
    uint64_t number;    /* of the first element, in C order of the whole array */
    uint64_t key;       /* of Philox */
    uint32_t threshold; /* a word below it drops its element */
    double high, low;   /* high + low = 1 / (1 - p), high a value of the arithmetic type, low > 0 */
    int stream;         /* write past the caches; x and y are not the same memory */
    int x_type, y_type;
} fn_dropout;

#endif
