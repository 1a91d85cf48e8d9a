/* From moments to the three numbers that the apply needs, in float64: no vectors, the same on every ISA.
 *
 * Merging is the update of Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for computing
 * sample variances"), which is Welford's recurrence for blocks. Every multiply and add rounds on its own (the build
 * turns contraction off), so that the bits do not depend on the compiler.
 */
#ifndef FASTNORM_STATISTIC_H
#define FASTNORM_STATISTIC_H

#include <float.h>
#include <math.h>

#include "problem.h"

/* a + b, and what rounding took from it (Knuth). */
static inline double fn_two_sum(double a, double b, double *lost)
{
    double sum = a + b, b_part = sum - a;
    *lost = (a - (sum - b_part)) + (b - b_part);
    return sum;
}

/* a becomes the moments of both; the order matters to the last bit, so callers merge by index. */
static inline void fn_merge(fn_moments *a, const fn_moments *b)
{
    double count = a->count + b->count, weight = b->count / count;
    double delta = (b->mean - a->mean) + (b->mean_lo - a->mean_lo);
    double lost;
    a->m2 = (a->m2 + b->m2) + delta * delta * (a->count * weight);
    a->mean = fn_two_sum(a->mean, delta * weight, &lost);
    a->mean_lo += lost;
    a->count = count;
}

/* The float64 value rounded to the arithmetic type. */
static inline double fn_round_to(double value, int is_f64) { return is_f64 ? value : (double)(float)value; }

static inline void fn_fill_statistic(const fn_moments *m, double rstd, int statistic, int is_f64, fn_statistic *out)
{
    double mean = fn_round_to(m->mean, is_f64), mean_lo = (m->mean - mean) + m->mean_lo;
    int centered = statistic == FN_CENTERED;
    out->rstd = fn_round_to(rstd, is_f64);
    out->mean = centered ? mean : 0.0;
    /* -0.0 is the neutral element of addition: it keeps the sign of a zero. */
    out->shift = centered ? fn_round_to(-(mean_lo * rstd), is_f64) : -0.0;
    out->reported_mean = m->mean;
    out->reported_rstd = rstd;
    out->mode = FN_PLAIN;
    out->exponent = 0;
}

/* 0 where the data needs fn_rescue: something overflowed, underflowed or is not finite. */
static inline int fn_finish(const fn_moments *m, double inverse_n, double eps, int statistic, int is_f64,
                            fn_statistic *out)
{
    double variance = m->m2 * inverse_n + eps;
    double low = is_f64 ? 0x1p-900 : 0x1p-100, high = is_f64 ? 0x1p1000 : 0x1p126;
    if (!(variance >= low && variance <= high))
        return 0;
    fn_fill_statistic(m, 1.0 / sqrt(variance), statistic, is_f64, out);
    return 1;
}

static inline void fn_range_merge(fn_range *a, const fn_range *b)
{
    a->largest = a->largest > b->largest ? a->largest : b->largest;
    a->nan |= b->nan;
    a->plus_inf |= b->plus_inf;
    a->minus_inf |= b->minus_inf;
}

/* How to redo data that fn_finish refused; 0 where there is nothing to sum again because some of it is not finite. */
static inline int fn_rescue_plan(const fn_range *range, double eps, int statistic, fn_statistic *out)
{
    int infinite = range->plus_inf || range->minus_inf, data_exponent = 0, eps_exponent = 0;
    if (range->nan || infinite) {
        out->mode = statistic == FN_SQUARES && !range->nan ? FN_ZEROED : FN_ALL_NAN;
        out->reported_rstd = out->mode == FN_ZEROED ? 0.0 : NAN;
        out->reported_mean = range->nan || (range->plus_inf && range->minus_inf) ? NAN
                             : range->plus_inf                                   ? INFINITY
                                                                                 : -INFINITY;
        out->exponent = 0;
        return 0;
    }
    (void)frexp(range->largest, &data_exponent);
    (void)frexp(eps, &eps_exponent);
    data_exponent -= 1; /* the largest lands in [1, 2) */
    /* eps shrinks or grows by the square of the data's factor: it must not overflow on the way. */
    int half = eps_exponent / 2 + 1;
    out->exponent = range->largest == 0 ? 0 : eps > 0 && half > data_exponent ? half : data_exponent;
    out->mode = FN_SCALED;
    return 1;
}

/* The statistic from moments of data * 2^-out->exponent. */
static inline void fn_rescue_finish(const fn_moments *m, double inverse_n, double eps, int statistic, int is_f64,
                                    fn_statistic *out)
{
    int exponent = out->exponent;
    double largest = is_f64 ? DBL_MAX : FLT_MAX, scaled_eps = ldexp(eps, -2 * exponent);
    double variance = m->m2 * inverse_n + scaled_eps, rstd = 1.0 / sqrt(variance);
    /* Constant data: its deviations (or the zeros themselves) must not become 0 * inf. */
    if (eps > 0 && (statistic == FN_CENTERED || m->mean == 0) && rstd > largest)
        rstd = largest;
    fn_fill_statistic(m, rstd, statistic, is_f64, out);
    /* 0 / 0, but x / 0 where non-zero constant data is not centred. */
    int undefined = m->m2 == 0 && eps == 0 && !(statistic == FN_UNCENTERED && m->mean != 0);
    out->mode = undefined ? FN_ALL_NAN : FN_SCALED;
    out->exponent = exponent;
    out->reported_mean = ldexp(out->reported_mean, exponent);
    out->reported_rstd = m->m2 == 0 ? 1.0 / sqrt(eps) : ldexp(rstd, -exponent);
}

#endif
