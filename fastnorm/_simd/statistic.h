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
#include <string.h>

#include "pieces.h"

/* What the data has to be asked for. */
static inline int fn_sums_of(int statistic)
{
    switch (statistic) {
    case FN_SQUARES:
    case FN_NORM_2: return FN_SUM_SQUARES;
    case FN_NORM_1: return FN_SUM_MAGNITUDES;
    case FN_NORM_LARGEST: return FN_LARGEST;
    case FN_NORM_SMALLEST: return FN_SMALLEST;
    case FN_NORM_POWER: return FN_SUM_POWERS;
    case FN_EXTREMES: return FN_RANGE;
    default: return FN_MOMENTS;
    }
}

static inline fn_reading fn_reading_of(const fn_problem *p, ptrdiff_t s, int exponent)
{
    return (fn_reading){fn_sums_of(p->statistic), exponent, p->power, p->statistic == FN_NORM_POWER ? p->mean[s] : 1,
                        p->stream == FN_CLOSE ? 0 : FN_NEAR};
}

/* a + b, and what rounding took from it (Knuth). */
static inline double fn_two_sum(double a, double b, double *lost)
{
    double sum = a + b, b_part = sum - a;
    *lost = (a - (sum - b_part)) + (b - b_part);
    return sum;
}

static inline double fn_smaller(double a, double b) { return b < a ? b : a; }
static inline double fn_larger(double a, double b) { return b > a ? b : a; }

/* a becomes the moments of both; the order matters to the last bit, so callers merge by index. */
static inline void fn_merge(int sums, fn_moments *a, const fn_moments *b)
{
    if (sums == FN_LARGEST || sums == FN_SMALLEST || sums == FN_RANGE) {
        a->count += b->count;
        a->mean = sums == FN_RANGE ? fn_smaller(a->mean, b->mean) : a->mean + b->mean;
        a->m2 = sums == FN_SMALLEST ? fn_smaller(a->m2, b->m2) : fn_larger(a->m2, b->m2);
        return;
    }
    double count = a->count + b->count, weight = b->count / count;
    double delta = (b->mean - a->mean) + (b->mean_lo - a->mean_lo);
    double lost;
    a->m2 = (a->m2 + b->m2) + delta * delta * (a->count * weight);
    a->mean = fn_two_sum(a->mean, delta * weight, &lost);
    a->mean_lo += lost;
    a->count = count;
}

/* fn_merge, or the first one. Not a struct: what is stored number by number and read as a vector waits for the stores.
 */
static inline void fn_append(int sums, fn_moments *out, double count, double mean, double mean_lo, double m2)
{
    const fn_moments next = {count, mean, mean_lo, m2};
    if (out->count == 0) {
        out->count = count;
        out->mean = mean;
        out->mean_lo = mean_lo;
        out->m2 = m2;
    } else {
        fn_merge(sums, out, &next);
    }
}

/* fn_merge for n statistics side by side. */
static inline void fn_merge_columns(int sums, ptrdiff_t n, double a_count, double *restrict a_mean,
                                    double *restrict a_mean_lo, double *restrict a_m2, double b_count,
                                    const double *restrict b_mean, const double *restrict b_mean_lo,
                                    const double *restrict b_m2)
{
    if (sums == FN_LARGEST || sums == FN_SMALLEST || sums == FN_RANGE) {
        for (ptrdiff_t i = 0; i < n; i++) {
            fn_moments a = {a_count, a_mean[i], 0, a_m2[i]}, b = {b_count, b_mean[i], 0, b_m2[i]};
            fn_merge(sums, &a, &b);
            a_mean[i] = a.mean;
            a_m2[i] = a.m2;
        }
        return;
    }
    const double weight = b_count / (a_count + b_count), factor = a_count * weight;
    for (ptrdiff_t i = 0; i < n; i++) {
        double delta = (b_mean[i] - a_mean[i]) + (b_mean_lo[i] - a_mean_lo[i]);
        double lost;
        a_m2[i] = (a_m2[i] + b_m2[i]) + delta * delta * factor;
        a_mean[i] = fn_two_sum(a_mean[i], delta * weight, &lost);
        a_mean_lo[i] += lost;
    }
}

/* Part `index` of statistics side by side, 3 * columns doubles, into those before it. */
static inline void fn_merge_part(const fn_problem *p, ptrdiff_t columns, ptrdiff_t index, double *moments,
                                 const double *part)
{
    const ptrdiff_t before = index * FN_ROW_CHUNK, left = fn_rows(p) - before;
    fn_merge_columns(fn_sums_of(p->statistic), columns, (double)before, moments, moments + columns,
                     moments + 2 * columns, (double)(left < FN_ROW_CHUNK ? left : FN_ROW_CHUNK), part, part + columns,
                     part + 2 * columns);
}

/* The float64 value rounded to the arithmetic type. */
static inline double fn_round_to(double value, int is_f64) { return is_f64 ? value : (double)(float)value; }

/* Of an exponent from -1022 to 1023. ldexp is a call, and longer than the element in a row that is to be scaled. */
static inline double fn_power_of_two(int exponent)
{
    uint64_t bits = (uint64_t)(exponent + DBL_MAX_EXP - 1) << (DBL_MANT_DIG - 1);
    double power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

static inline void fn_split_mean(double mean, double mean_lo, int is_f64, fn_statistic *out)
{
    out->mean = fn_round_to(mean, is_f64);
    out->mean_lo = isfinite(out->mean) ? (mean - out->mean) + mean_lo : 0.0;
}

static inline int fn_is_centered(int statistic) { return statistic == FN_CENTERED || statistic == FN_STANDARDIZED; }

/* Whether data is constant but for what rounding made of it, by the error bound of a float64 variance (Chan, Golub and
 * LeVeque 1983, "Algorithms for computing the sample variance"; scikit-learn has the same rule). */
static inline int fn_is_constant(const fn_moments *m, double variance)
{
    double bound = m->count * m->mean * DBL_EPSILON;
    return variance <= m->count * DBL_EPSILON * variance + bound * bound;
}

static inline int fn_is_norm(int statistic) { return statistic >= FN_NORM_1 && statistic <= FN_NORM_POWER; }

static inline void fn_fill_statistic(const fn_moments *m, double variance, double rstd, int statistic, int is_f64,
                                     fn_statistic *out)
{
    int centered = fn_is_centered(statistic);
    out->rstd = statistic == FN_STANDARDIZED && fn_is_constant(m, variance) ? 0.0 : rstd;
    fn_split_mean(centered ? m->mean : 0.0, centered ? m->mean_lo : 0.0, is_f64, out);
    out->reported_mean = m->mean;
    out->reported_rstd = out->rstd;
    out->reported_m2 = m->m2;
    out->span = 0;
    out->mode = FN_PLAIN;
    out->exponent = 0;
}

/* To divide data * 2^-out->exponent by; float64 data is scaled once more where 1 / divisor would leave its range. That
 * of other data needs no more than to be finite, because a zero may meet it: no other value is so small. */
static inline void fn_set_divisor(double divisor, int is_f64, fn_statistic *out)
{
    if (is_f64 && ((divisor > 0 && divisor < 0x1p-1000) || (divisor > 0x1p1000 && divisor <= DBL_MAX))) {
        int exponent = ilogb(divisor);
        divisor = ldexp(divisor, -exponent);
        out->mean = ldexp(out->mean, -exponent);
        out->exponent += exponent;
    }
    out->rstd = divisor > 0 ? fmin(1.0 / divisor, DBL_MAX) : 1.0 / divisor;
    out->mode = out->exponent ? FN_SCALED : FN_PLAIN;
}

/* The norm is one of data * 2^-exponent. */
static inline void fn_fill_norm(double norm, int exponent, double eps, int is_f64, fn_statistic *out)
{
    const double least = ldexp(eps, -exponent);
    *out = (fn_statistic){.reported_m2 = ldexp(norm, exponent), .exponent = exponent};
    fn_set_divisor(norm <= least ? least : norm, is_f64, out);
}

/* The variances and sums of squares that need no fn_rescue: nothing overflowed or underflowed on the way there. */
static inline double fn_low(int is_f64) { return is_f64 ? 0x1p-900 : 0x1p-100; }
static inline double fn_high(int is_f64) { return is_f64 ? 0x1p1000 : 0x1p126; }

/* A norm from its sum: the sum itself, or its root. 0 where a square or the sum left the range; not where so many as
 * vanished could not have made the norm exceed eps. */
static FN_APART int fn_finish_norm(const fn_moments *m, double eps, int statistic, int is_f64, fn_statistic *out)
{
    double sum = m->m2, low = fn_low(is_f64), high = fn_high(is_f64), lost = m->count * (is_f64 ? 0x1p-1074 : 0x1p-149);
    if (statistic == FN_NORM_2 ? !((sum >= low && sum <= high) || sqrt(sum + lost) < eps)
                               : statistic == FN_NORM_1 && !isfinite(sum))
        return 0;
    /* A mean of NaN: see fn_moments. */
    fn_fill_norm(statistic == FN_NORM_2 ? sqrt(sum) : sum + m->mean, 0, eps, is_f64, out);
    return 1;
}

/* The smallest value becomes 0 and the largest 1, before weight and bias: so that fn_fold can see to the latter. */
static FN_APART void fn_finish_extremes(const fn_problem *p, const fn_moments *m, int is_f64, fn_statistic *out)
{
    int none = !(m->mean <= m->m2); /* nothing but NaN */
    double low = none ? 0 : m->mean, span = none ? 0 : fn_round_to(m->m2 - low, is_f64);
    *out = (fn_statistic){.mean = low, .upper = p->upper};
    if (isinf(span) && isfinite(low) && isfinite(m->m2)) {
        out->exponent = 2;
        out->mean = fn_round_to(low / 4, is_f64);
        span = fn_round_to(m->m2 / 4 - out->mean, is_f64);
    }
    const int exponent = out->exponent;
    fn_set_divisor(span > 0 ? span : INFINITY, is_f64, out); /* a constant becomes 0 */
    out->span = span > 0 && isfinite(span) ? ldexp(span, exponent - out->exponent) : 0;
}

/* 0 where the data needs fn_rescue: something overflowed, underflowed or is not finite. */
static inline int fn_finish(const fn_problem *p, const fn_moments *m, int is_f64, fn_statistic *out)
{
    const int statistic = p->statistic;
    if (statistic == FN_EXTREMES) {
        fn_finish_extremes(p, m, is_f64, out);
        return 1;
    }
    if (fn_is_norm(statistic))
        return fn_finish_norm(m, p->eps, statistic, is_f64, out);
    double variance = m->m2 * p->inverse_n + p->eps;
    /* Constant features are common. Here the mean is so large that no deviation's square could have vanished. */
    int constant = m->m2 == 0 && fabs(m->mean) >= (is_f64 ? 0x1p-450 : 0x1p-40) && isfinite(m->mean);
    int undefined = constant && statistic == FN_CENTERED && p->eps == 0;
    if (!(constant && statistic == FN_STANDARDIZED) && !undefined &&
        !(variance >= fn_low(is_f64) && variance <= fn_high(is_f64)))
        return 0;
    fn_fill_statistic(m, variance, 1.0 / sqrt(variance), statistic, is_f64, out);
    if (undefined)
        out->mode = FN_ALL_NAN;
    return 1;
}

/* Half a unit of the largest number. */
static inline double fn_most_given(int is_f64) { return is_f64 ? 0x1p970 : 0x1p103; }

/* A statistic that the caller knows, such as a running mean and 1 / sqrt(running variance + eps). Where the mean itself
 * or x - mean may leave the range of the arithmetic type, both are scaled into half of it. */
static inline void fn_given(double mean, double rstd, int is_f64, fn_statistic *out)
{
    *out = (fn_statistic){.mode = FN_PLAIN};
    if (fabs(mean) >= fn_most_given(is_f64) && isfinite(mean)) {
        int mean_exponent, top = is_f64 ? DBL_MAX_EXP - 1 : FLT_MAX_EXP - 1;
        (void)frexp(mean, &mean_exponent);
        out->exponent = mean_exponent > top ? mean_exponent - top : 1;
        out->mode = FN_SCALED;
        mean = ldexp(mean, -out->exponent);
        if (isfinite(rstd))
            rstd = fmin(ldexp(rstd, out->exponent), DBL_MAX); /* a weight of 0 must not meet infinity */
    }
    out->rstd = rstd;
    fn_split_mean(mean, 0.0, is_f64, out);
}

/* The scale, no more than a few steps up, by which span reaches upper: what rounds beyond it is cut off there. */
static inline double fn_reach(double span, double scale, double shift, double upper, int is_f64)
{
    for (int step = 0; step < 3 && fn_round_to(fma(span, scale, shift), is_f64) < upper; step++)
        scale = is_f64 ? nextafter(scale, INFINITY) : (double)nextafterf((float)scale, INFINITY);
    return scale;
}

/* Where rstd * weight leaves the range of the type: what else comes to the same. The data is scaled before it, by no
 * more than puts the product back, so that it stays in range itself; and by no more than keeps the mean in range, and
 * the factors that IN_X(scale) takes: where that is less, every result is infinite but that of the mean itself. */
FN_COLD static void fn_scale_map(const fn_statistic *s, double weight, int wanted, int top, double *mean,
                                 double *mean_lo, double *scale, fn_map *map)
{
    int rstd_exponent, weight_exponent, mean_exponent;
    *scale = ldexp(frexp(s->rstd, &rstd_exponent) * frexp(weight, &weight_exponent), wanted);
    int shift = rstd_exponent + weight_exponent - wanted, most = 2 * top + s->exponent;
    (void)frexp(s->mean, &mean_exponent);
    if (s->mean != 0 && isfinite(s->mean) && top + 1 - mean_exponent < most)
        most = top + 1 - mean_exponent;
    shift = shift < most ? shift : most;
    *mean = ldexp(s->mean, shift);
    *mean_lo = ldexp(s->mean_lo, shift);
    map->exponent -= shift;
    if (map->mode == FN_PLAIN)
        map->mode = FN_SCALED;
}

/* Weight and bias that do not vary, folded into one multiply-add on the centred value. */
static FN_APART fn_map fn_fold(const fn_statistic *s, double weight, double bias, int is_f64)
{
    fn_map map = {.mode = s->mode, .exponent = s->exponent};
    double low = is_f64 ? DBL_MIN : FLT_MIN, high = is_f64 ? DBL_MAX : FLT_MAX;
    double mean = s->mean, mean_lo = s->mean_lo, scale = s->rstd * weight, magnitude = fabs(scale);
    int in_range = magnitude >= low && magnitude <= high, top = is_f64 ? DBL_MAX_EXP - 1 : FLT_MAX_EXP - 1;
    if (!in_range && s->rstd != 0 && weight != 0 && isfinite(s->rstd) && isfinite(weight))
        fn_scale_map(s, weight, magnitude > high ? top : 3 - top, top, &mean, &mean_lo, &scale, &map);
    map.mean = fn_round_to(mean, is_f64);
    map.scale = fn_round_to(scale, is_f64);
    map.upper = INFINITY;
    if (s->span > 0) {
        map.upper = s->upper;
        map.scale = fn_reach(ldexp(s->span, s->exponent - map.exponent), map.scale, bias, s->upper, is_f64);
    }
    /* An absent bias is -0.0, the neutral element of addition: it keeps the sign of a zero, but not of x * 0. What
     * rounding took from the mean must not become infinite, against an infinite x * scale. */
    map.shift = scale == 0                         ? bias + 0.0
                : mean_lo == 0 || !isfinite(scale) ? bias
                                                   : fn_round_to(bias - mean_lo * scale, is_f64);
    if (isinf(map.shift) && isfinite(bias))
        map.shift = copysign(high, map.shift);
    return map;
}

static inline void fn_range_add(fn_range *range, double value)
{
    double magnitude = fabs(value);
    if (isnan(value))
        range->nan = 1;
    else if (isinf(value))
        *(value > 0 ? &range->plus_inf : &range->minus_inf) = 1;
    else if (magnitude > range->largest)
        range->largest = magnitude;
}

static inline void fn_range_merge(fn_range *a, const fn_range *b)
{
    a->largest = a->largest > b->largest ? a->largest : b->largest;
    a->nan |= b->nan;
    a->plus_inf |= b->plus_inf;
    a->minus_inf |= b->minus_inf;
}

/* How to redo data that fn_finish refused; 0 where there is nothing to sum again because some of it is not finite. */
static inline int fn_rescue_plan(const fn_problem *p, const fn_range *range, fn_statistic *out)
{
    const int statistic = p->statistic, by_zero = statistic == FN_SQUARES || fn_is_norm(statistic);
    int infinite = range->plus_inf || range->minus_inf, data_exponent = 0, eps_exponent = 0;
    if (range->nan || infinite) {
        *out = (fn_statistic){.rstd = 1, .mode = by_zero && !range->nan ? FN_ZEROED : FN_ALL_NAN};
        out->reported_rstd = out->mode == FN_ZEROED ? 0.0 : NAN;
        out->reported_m2 = out->mode == FN_ZEROED ? INFINITY : NAN;
        out->reported_mean = range->nan || (range->plus_inf && range->minus_inf) ? NAN
                             : range->plus_inf                                   ? INFINITY
                                                                                 : -INFINITY;
        return 0;
    }
    (void)frexp(range->largest, &data_exponent);
    (void)frexp(p->eps, &eps_exponent);
    data_exponent -= 1; /* the largest lands in [1, 2) */
    /* eps grows by the square of what the data grows by, and must not overflow. A norm's does not, and is the smaller
     * here (fn_finish_norm). */
    int least = (eps_exponent - (DBL_MAX_EXP - 24)) / 2, limited = p->eps > 0 && !fn_is_norm(statistic);
    out->exponent = range->largest == 0 ? 0 : limited && least > data_exponent ? least : data_exponent;
    out->mode = FN_SCALED;
    return 1;
}

/* The statistic from moments of data * 2^-out->exponent. */
static inline void fn_rescue_finish(const fn_problem *p, const fn_moments *m, int is_f64, fn_statistic *out)
{
    const int statistic = p->statistic, exponent = out->exponent;
    const double eps = p->eps;
    if (fn_is_norm(statistic)) {
        fn_fill_norm(statistic == FN_NORM_2 ? sqrt(m->m2) : m->m2, exponent, eps, is_f64, out);
        return;
    }
    double largest = is_f64 ? DBL_MAX : FLT_MAX, scaled_eps = ldexp(eps, -2 * exponent);
    double variance = m->m2 * p->inverse_n + scaled_eps, rstd = 1.0 / sqrt(variance);
    /* Constant data: its deviations (or the zeros themselves) must not become 0 * inf. */
    if (eps > 0 && (statistic == FN_CENTERED || m->mean == 0) && rstd > largest)
        rstd = largest;
    fn_fill_statistic(m, variance, rstd, statistic, is_f64, out);
    /* 0 / 0, but x / 0 where non-zero constant data is not centred. */
    int undefined = m->m2 == 0 && eps == 0 && out->rstd != 0 && !(statistic == FN_UNCENTERED && m->mean != 0);
    out->mode = undefined ? FN_ALL_NAN : exponent ? FN_SCALED : FN_PLAIN;
    out->exponent = exponent;
    out->reported_mean = ldexp(out->reported_mean, exponent);
    out->reported_m2 = ldexp(out->reported_m2, 2 * exponent);
    out->reported_rstd = out->rstd == 0 ? 0.0 : m->m2 == 0 ? 1.0 / sqrt(eps) : ldexp(rstd, -exponent);
    if (out->rstd == 0) { /* every result is 0, whatever is subtracted */
        out->mean = out->mean_lo = 0;
        out->mode = FN_PLAIN;
        out->exponent = 0;
    }
}

/* What the caller asked to know. */
static inline void fn_report(const fn_problem *p, ptrdiff_t s, const fn_statistic *statistic)
{
    if (p->mean && p->statistic != FN_NORM_POWER)
        p->mean[s] = statistic->reported_mean;
    if (p->rstd)
        p->rstd[s] = statistic->reported_rstd;
    if (p->m2)
        p->m2[s] = statistic->reported_m2;
}

#endif
