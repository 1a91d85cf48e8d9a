/* Moments of more than a leaf, and of data that the plain pass cannot hold, for storage type X in arithmetic type C.
 *
 * A template, after moments.h. Nothing here is fast but chunk_moments without an exponent: unusual data (NaN, infinite,
 * near the ends of the range) is surveyed and rescaled one element at a time, leaf by leaf, then takes the usual leaf.
 */

/* scratch = x * 2^-exponent: exact, save what becomes subnormal beside the largest. Two factors, because 2^-exponent
 * itself may be out of range. */
static void IN_X(scale)(const TYPE(X) * x, ptrdiff_t n, int exponent, TYPE(C) * scratch)
{
    const TYPE(C) first = (TYPE(C))ldexp(1.0, -(exponent / 2));
    const TYPE(C) second = (TYPE(C))ldexp(1.0, -(exponent - exponent / 2));
    for (ptrdiff_t i = 0; i < n; i++)
        scratch[i] = FROM(C, X)(x[i]) * first * second;
}

static void IN_X(chunk_moments)(const void *data, ptrdiff_t n, int squares, int exponent, fn_moments *out)
{
    const TYPE(X) *x = data;
    TYPE(C) scratch[FN_LEAF];
    for (ptrdiff_t i = 0; i < n; i += FN_LEAF) {
        ptrdiff_t length = n - i < FN_LEAF ? n - i : FN_LEAF;
        double inverse = 1.0 / (double)length;
        fn_moments leaf;
        if (exponent != 0) {
            IN_X(scale)(x + i, length, exponent, scratch);
            IN_CC(leaf)(scratch, length, squares, inverse, &leaf);
        } else {
            IN_X(leaf)(x + i, length, squares, inverse, &leaf);
        }
        if (i == 0)
            *out = leaf;
        else
            fn_merge(out, &leaf);
    }
}

static void IN_X(row_moments)(const TYPE(X) * x, ptrdiff_t n, int squares, int exponent, fn_moments *out)
{
    IN_X(chunk_moments)(x, n < FN_CHUNK ? n : FN_CHUNK, squares, exponent, out);
    for (ptrdiff_t i = FN_CHUNK; i < n; i += FN_CHUNK) {
        fn_moments chunk;
        IN_X(chunk_moments)(x + i, n - i < FN_CHUNK ? n - i : FN_CHUNK, squares, exponent, &chunk);
        fn_merge(out, &chunk);
    }
}

static void IN_X(survey)(const void *data, ptrdiff_t n, fn_range *out)
{
    const TYPE(X) *x = data;
    *out = (fn_range){0};
    for (ptrdiff_t i = 0; i < n; i++) {
        double value = FROM(f64, X)(x[i]), magnitude = fabs(value);
        if (isnan(value))
            out->nan = 1;
        else if (isinf(value))
            *(value > 0 ? &out->plus_inf : &out->minus_inf) = 1;
        else if (magnitude > out->largest)
            out->largest = magnitude;
    }
}

static void IN_X(rescue)(const fn_problem *p, const TYPE(X) * x, ptrdiff_t n, double inverse_n, fn_statistic *out)
{
    fn_range range;
    fn_moments moments;
    IN_X(survey)(x, n, &range);
    if (!fn_rescue_plan(&range, p->eps, p->statistic, out))
        return;
    IN_X(row_moments)(x, n, p->statistic == FN_SQUARES, out->exponent, &moments);
    fn_rescue_finish(&moments, inverse_n, p->eps, p->statistic, IS_F64(C), out);
}
