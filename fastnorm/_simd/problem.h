/* What Cython and C agree on: element types, the canonical problem, moments, and the table of kernels.
 *
 * Every statistical norm is x[batch, outer, keep, segments, run] with one statistic for each (batch, keep), taken over
 * (outer, segments, run); weight and bias are constant along run. Cython fills fn_problem, a tier's kernels read it.
 * Nothing here allocates, knows Python, or starts a thread.
 */
#ifndef FASTNORM_PROBLEM_H
#define FASTNORM_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

typedef float fn_f32;
typedef double fn_f64;
typedef uint16_t fn_f16; /* IEEE half; unsigned, so that a fused Cython type tells it from bfloat16 */
typedef int16_t fn_bf16;

enum { FN_F32, FN_F64, FN_F16, FN_BF16, FN_TYPES };

/* These sizes decide bits: they depend on nothing but one statistic's length. */
enum {
    FN_PILOT = 64,        /* elements that choose a leaf's shift */
    FN_LEAF = 1024,       /* elements summed in the arithmetic type before one float64 epilogue */
    FN_CHUNK = 64 * 1024, /* elements merged on their own, so that threads can share one long statistic */
};

/* count, mean (an unevaluated sum hi + lo) and sum of squared deviations. For RMS norm the mean is 0: its deviations
 * are the values, and the same merge adds them up. */
typedef struct {
    double count, mean, mean_lo, m2;
} fn_moments;

/* What a survey of unusual data finds: the largest finite magnitude, and which non-finite values occur. */
typedef struct {
    double largest;
    int nan, plus_inf, minus_inf;
} fn_range;

enum { FN_PLAIN, FN_SCALED, FN_ALL_NAN, FN_ZEROED };

/* How to map one statistic's elements: y = (x * 2^-exponent - mean) * rstd + shift, then weight and bias. The numbers
 * are values of the arithmetic type, held in doubles. FN_ALL_NAN: every result is NaN. FN_ZEROED (RMS norm of infinite
 * data): finite values become 0, infinite ones NaN. */
typedef struct {
    double mean, rstd, shift;
    double reported_mean, reported_rstd; /* of the unscaled data, for the caller */
    int mode, exponent;
} fn_statistic;

typedef struct {
    char *data;                                  /* NULL: an absent parameter */
    ptrdiff_t batch, outer, keep, segments, run; /* strides in bytes; a parameter's run stride is unused */
} fn_operand;

enum { FN_CENTERED, FN_UNCENTERED, FN_SQUARES };

typedef struct {
    ptrdiff_t batch, outer, keep, segments, run; /* sizes */
    fn_operand x, y, weight, bias;               /* weight and bias in the arithmetic type */
    double *mean, *rstd;                         /* [batch * keep] each, or NULL */
    double eps;
    int statistic; /* FN_CENTERED: layer norm; FN_UNCENTERED: variance about the mean, x not centred; FN_SQUARES: RMS */
    int stream;    /* write past the caches; x and y are not the same memory */
    int x_type, y_type;
} fn_problem;

typedef struct {
    int fma; /* 0: multiply-add rounds twice, so bits differ from the other tiers */
    /* Statistics first <= s < last, s = batch index * keep + keep index, from x to y. x == y is allowed; any other
     * overlap is not. outer is 1, and segments * run elements are contiguous in x, y, and (where present, and run
     * is 1) weight and bias. */
    void (*rows[FN_TYPES][FN_TYPES])(const fn_problem *p, ptrdiff_t first, ptrdiff_t last);
    /* The steps of rows on stretches of at most FN_CHUNK elements, for statistics that threads share.
     * [x type][1 where the arithmetic is float64] */
    void (*chunk_moments[FN_TYPES][2])(const void *x, ptrdiff_t n, int squares, int exponent, fn_moments *out);
    void (*chunk_survey[FN_TYPES])(const void *x, ptrdiff_t n, fn_range *out);
    /* Elements start <= i < start + n of statistic s. */
    void (*chunk_apply[FN_TYPES][FN_TYPES])(const fn_problem *p, ptrdiff_t s, ptrdiff_t start, ptrdiff_t n,
                                            const fn_statistic *statistic);
} fn_kernels;

#endif
