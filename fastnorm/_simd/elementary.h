/* Powers, exponentials and what activations need of them, in float64, the same bits with every fused multiply-add.
 *
 * A logarithm that is to be multiplied by a large exponent needs more digits than a double has, so it is a pair: an
 * unevaluated sum whose low part is what rounding the high part lost. The series are those of atanh and exp, short
 * after the argument is reduced to half an octave, whose coefficients a reader can check. float32 takes the same way:
 * load it as float64 lanes.
 *
 * Subnormal arguments and results are right, to the last bit or two of what a subnormal has.
 */
#ifndef FASTNORM_ELEMENTARY_H
#define FASTNORM_ELEMENTARY_H

#include <math.h>

typedef struct {
    f64_vec high, low;
} f64_pair;

/* The rounded sum of a >= b in magnitude (or a == 0), and what it lost. */
static inline f64_pair f64_pair_add(f64_vec a, f64_vec b)
{
    const f64_vec sum = f64_add(a, b);
    return (f64_pair){sum, f64_add(f64_sub(a, sum), b)};
}

static inline f64_pair f64_pair_mul(f64_pair a, f64_pair b)
{
    const f64_vec product = f64_mul(a.high, b.high);
    const f64_vec cross = f64_fma(a.low, b.high, f64_mul(a.high, b.low));
    return (f64_pair){product, f64_add(f64_lost(a.high, b.high, product), cross)};
}

static inline f64_pair f64_pair_set1(fn_f64 high, fn_f64 low) { return (f64_pair){f64_set1(high), f64_set1(low)}; }

/* log2(x) of a positive, finite x, to 64 bits. With x = m * 2^exponent and s = (m - 1) / (m + 1):
 * log2(m) = 2 / ln(2) * s * (1 + s^2 / 3 + s^4 / 5 + ...), |s| < 0.172. */
static inline f64_pair f64_log2(f64_vec x)
{
    const f64_vec normal = f64_set1(0x1p-1022), one = f64_set1(1), zero = f64_set1(0);
    const f64_vec raised = f64_if_less(x, normal, f64_set1(54), zero);
    f64_vec exponent;
    const f64_vec m = f64_split(f64_if_less(x, normal, f64_mul(x, f64_set1(0x1p54)), x), &exponent);

    const f64_vec numerator = f64_sub(m, one), denominator = f64_add(m, one);
    const f64_vec denominator_low = f64_sub(m, f64_sub(denominator, one)), inverse = f64_div(one, denominator);
    f64_pair s = {f64_mul(numerator, inverse), zero};
    const f64_vec back = f64_mul(s.high, denominator);
    const f64_vec rest = f64_sub(f64_sub(numerator, back), f64_lost(s.high, denominator, back));
    s.low = f64_mul(f64_sub(rest, f64_mul(s.high, denominator_low)), inverse);
    const f64_pair square = f64_pair_mul(s, s);

    f64_vec series = f64_set1(1.0 / 25);
    for (int k = 23; k >= 5; k -= 2)
        series = f64_fma(series, square.high, f64_set1(1.0 / k));
    f64_pair sum = f64_pair_add(f64_set1(0x1.5555555555555p-2), f64_mul(series, square.high));
    sum.low = f64_add(sum.low, f64_set1(0x1.5555555555555p-56)); /* the rest of 1 / 3 */
    sum = f64_pair_mul(square, sum);
    const f64_vec low = sum.low;
    sum = f64_pair_add(one, sum.high);
    sum.low = f64_add(sum.low, low);
    const f64_pair log2_m =
        f64_pair_mul(f64_pair_mul(s, sum), f64_pair_set1(0x1.71547652b82fep+1, 0x1.777d0ffda0d24p-55));

    f64_pair result = f64_pair_add(f64_sub(exponent, raised), log2_m.high);
    result.low = f64_add(result.low, log2_m.low);
    return result;
}

/* (e^z - 1 - z) / z^2 for |z| <= ln(2) / 2. */
static inline f64_vec f64_exp_series(f64_vec z)
{
    static const fn_f64 factorial[] = {2,      6,       24,       120,       720,        5040,       40320,
                                       362880, 3628800, 39916800, 479001600, 6227020800, 87178291200};
    f64_vec series = f64_set1(1.0 / factorial[12]);
    for (int k = 11; k >= 0; k--)
        series = f64_fma(series, z, f64_set1(1.0 / factorial[k]));
    return series;
}

/* 2^(high + low), for any high whose low part is its rounding error. */
static inline f64_vec f64_exp2(f64_pair x)
{
    const f64_vec limit = f64_set1(1100), one = f64_set1(1), to_integer = f64_set1(0x1.8p52), half = f64_set1(0.5);
    const f64_vec low = f64_if_less(f64_abs(x.high), limit, x.low, f64_set1(0)); /* of an overflow it is NaN */
    const f64_vec high = f64_min(limit, f64_max(f64_set1(-1100), x.high));
    const f64_vec n = f64_sub(f64_add(high, to_integer), to_integer);
    const f64_pair z = f64_pair_mul(f64_pair_add(f64_sub(high, n), low),
                                    f64_pair_set1(0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56)); /* ln(2) */
    const f64_vec tail = f64_fma(f64_mul(z.high, z.high), f64_exp_series(z.high), f64_fma(z.low, z.high, z.low));
    const f64_pair sum = f64_pair_add(one, z.high);
    const f64_vec result = f64_add(sum.high, f64_add(sum.low, tail));
    /* In two steps, of which the first is exact: 2^n alone may be no normal number. */
    const f64_vec first = f64_sub(f64_fma(n, half, to_integer), to_integer);
    return f64_mul(f64_mul(result, f64_power_of_2(first)), f64_power_of_2(f64_sub(n, first)));
}

static inline f64_vec f64_exp(f64_vec x)
{
    const f64_vec log2_e = f64_set1(0x1.71547652b82fep+0), high = f64_mul(x, log2_e);
    return f64_exp2((f64_pair){high, f64_fma(x, f64_set1(0x1.777d0ffda0d24p-56), f64_lost(x, log2_e, high))});
}

/* pow(x, y) for a finite y, as IEEE 754 has it; a zero of x counts as +0. An error below 1 ulp. */
static FN_APART f64_vec f64_pow(f64_vec x, fn_f64 y)
{
    const f64_vec zero = f64_set1(0), infinity = f64_set1(INFINITY), magnitude = f64_abs(x);
    /* A larger one would overflow on the way to `lost`; the power of all but 1 is out of range long before. */
    const f64_vec factor = f64_set1(y > 1e300 ? 1e300 : y < -1e300 ? -1e300 : y);
    if (y == 0)
        return f64_set1(1);
    const f64_pair log2_x = f64_log2(magnitude);
    f64_pair power = {f64_mul(log2_x.high, factor), zero};
    power.low = f64_fma(log2_x.low, factor, f64_lost(log2_x.high, factor, power.high));
    f64_vec result = f64_exp2(power);
    const f64_vec special = y > 0 ? magnitude : f64_div(f64_set1(1), magnitude); /* of 0, infinity or NaN */
    result = f64_if_less(zero, magnitude, f64_if_less(magnitude, infinity, result, special), special);

    const int integral = y >= 0x1p53 || y <= -0x1p53 || (fn_f64)(int64_t)y == y;
    const int odd = y < 0x1p53 && y > -0x1p53 && ((int64_t)y & 1);
    if (integral && !odd)
        return result;
    const f64_vec negative = integral ? f64_sub(zero, result) : f64_if_less(magnitude, infinity, f64_set1(NAN), result);
    return f64_if_less(x, zero, negative, result);
}

/* -e / (2 + e) of e = exp(-2 |x|) - 1, which near 0 is the series itself: exp would lose its digits to the 1. */
static __attribute__((noinline)) f64_vec f64_tanh(f64_vec x)
{
    const f64_vec zero = f64_set1(0), one = f64_set1(1), magnitude = f64_abs(x);
    const f64_vec z = f64_mul(magnitude, f64_set1(-2));
    const f64_vec near = f64_fma(f64_mul(z, z), f64_exp_series(z), z), far = f64_sub(f64_exp(z), one);
    const f64_vec e = f64_if_less(magnitude, f64_set1(0.17), near, far);
    const f64_vec result = f64_div(f64_sub(zero, e), f64_add(f64_set1(2), e));
    const f64_vec with_sign = f64_if_less(x, zero, f64_sub(zero, result), result);
    return f64_if_less(magnitude, f64_set1(0x1p-30), x, with_sign); /* -0, too */
}

/* 1 / (1 + exp(-x)), by the exponential that does not overflow. */
static __attribute__((noinline)) f64_vec f64_sigmoid(f64_vec x)
{
    const f64_vec zero = f64_set1(0), one = f64_set1(1), e = f64_exp(f64_sub(zero, f64_abs(x)));
    return f64_div(f64_if_less(x, zero, e, one), f64_add(one, e));
}

#endif
