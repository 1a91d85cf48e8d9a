/* Moments of more than a leaf, and of data that the plain pass cannot hold, for storage type X in arithmetic type C.
 *
 * A template, after moments.h. Nothing here is fast but stretch_moments without an exponent: unusual data (NaN,
 * infinite, near the ends of the range) is surveyed and rescaled one element at a time, leaf by leaf, then takes the
 * usual leaf.
 */

/* scratch = x * 2^-exponent: exact, save what becomes subnormal beside the largest. Two factors, because 2^-exponent
 * itself may be out of range. They must not be 0, against infinite data: what they leave of finite data is then nothing
 * beside the mean and in the result. */
FN_COLD static void IN_X(scale)(const TYPE(X) * x, ptrdiff_t n, int exponent, TYPE(C) * scratch)
{
    const int most = 2 * ((IS_F64(C) ? DBL_MAX_EXP : FLT_MAX_EXP) - 2);
    exponent = exponent < most ? exponent : most;
    const TYPE(C) first = (TYPE(C))fn_power_of_two(-(exponent / 2));
    const TYPE(C) second = (TYPE(C))fn_power_of_two(-(exponent - exponent / 2));
    for (ptrdiff_t i = 0; i < n; i++)
        scratch[i] = FROM(C, X)(x[i]) * first * second;
}

/* What takes the place of data that is not finite. */
FN_COLD static void IN_X(blank)(const TYPE(X) * x, ptrdiff_t n, int mode, TYPE(C) * scratch)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        double value = FROM(f64, X)(x[i]);
        scratch[i] = (TYPE(C))(mode == FN_ZEROED && isfinite(value) ? copysign(0.0, value) : NAN);
    }
}

/* The sum of (|x| / level)^power over n <= FN_LEAF elements, `step` elements apart. */
FN_COLD static double IN_X(leaf_powers)(const TYPE(X) * x, ptrdiff_t step, ptrdiff_t n, const fn_reading *reading)
{
    double scratch[FN_LEAF];
    for (ptrdiff_t i = 0; i < n; i++)
        scratch[i] = FROM(f64, X)(x[i * step]);
    return sum_of_powers(scratch, n, reading->power, reading->level);
}

static void IN_X(leaf_of)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length,
                          const fn_reading *reading, fn_moments *out)
{
    const double inverse_n = 1.0 / (double)(stretches * length);
    if (reading->sums == FN_SUM_POWERS) {
        *out = (fn_moments){.count = (double)(stretches * length)};
        for (ptrdiff_t k = 0; k < stretches; k++)
            out->m2 += IN_X(leaf_powers)((const TYPE(X) *)((const char *)x + k * gap), 1, length, reading);
        return;
    }
    const int with_shift = reading->sums == FN_MOMENTS || reading->sums == FN_SUM_SQUARES;
    if (with_shift && reading->exponent == 0) {
        IN_X(leaf)(x, stretches, gap, length, reading, inverse_n, out);
        return;
    }
    TYPE(C) scratch[FN_LEAF];
    const TYPE(C) *values = scratch;
    ptrdiff_t values_gap = length * (ptrdiff_t)sizeof *scratch;
    if (reading->exponent == 0 && sizeof *x == sizeof *values) { /* in the arithmetic type already */
        values = (const TYPE(C) *)(const void *)x;
        values_gap = gap;
    } else {
        for (ptrdiff_t k = 0; k < stretches; k++) {
            const TYPE(X) *at = (const TYPE(X) *)((const char *)x + k * gap);
            if (reading->exponent == 0)
                IN_X(read)(at, scratch + k * length, length);
            else
                IN_X(scale)(at, length, reading->exponent, scratch + k * length);
        }
    }
    if (with_shift)
        IN_CC(leaf)(values, stretches, values_gap, length, reading, inverse_n, out);
    else
        IN_C(extend_leaf)(values, stretches, values_gap, length, reading->sums, out);
}

/* Of `stretches` stretches, `gap` bytes from one's start to the next: leaf by leaf, merged in that order. */
static void IN_X(stretch_moments)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length,
                                  const fn_reading *reading, fn_moments *out)
{
    const int plain = (reading->sums == FN_MOMENTS || reading->sums == FN_SUM_SQUARES) && reading->exponent == 0;
    const ptrdiff_t per_leaf = fn_leaf_stretches(length);
    fn_moments leaf;
    double mean[FN_GROUP_LEAVES], mean_lo[FN_GROUP_LEAVES], m2[FN_GROUP_LEAVES];
    *out = (fn_moments){0};
    for (ptrdiff_t k = 0; k < stretches; k += per_leaf) {
        const TYPE(X) *at = (const TYPE(X) *)((const char *)x + k * gap);
        for (ptrdiff_t i = 0, n; i < length; i += n * FN_LEAF) {
            n = plain ? fn_least((length - i) / FN_LEAF, FN_GROUP_LEAVES) : 0;
            if (n > 1) {
                IN_X(leaves)(at + i, n, FN_LEAF * sizeof *x, FN_LEAF, reading, 1.0 / FN_LEAF, mean, mean_lo, m2);
                for (ptrdiff_t j = 0; j < n; j++)
                    fn_append(reading->sums, out, FN_LEAF, mean[j], mean_lo[j], m2[j]);
            } else {
                n = 1;
                IN_X(leaf_of)(at + i, fn_least(stretches - k, per_leaf), gap, fn_least(length - i, FN_LEAF), reading,
                              &leaf);
                fn_append(reading->sums, out, leaf.count, leaf.mean, leaf.mean_lo, leaf.m2);
            }
        }
    }
}

static const TYPE(X) * IN_X(locate)(const fn_problem *p, ptrdiff_t s, ptrdiff_t stretch, ptrdiff_t start)
{
    const char *data = p->x.data + s / p->keep * p->x.batch + s % p->keep * p->x.keep + stretch * p->x.outer;
    return (const TYPE(X) *)data + start;
}

static void IN_X(piece_moments)(const fn_problem *p, ptrdiff_t s, ptrdiff_t index, int exponent, fn_moments *out)
{
    const fn_piece piece = fn_get_piece(p, index);
    const fn_reading reading = fn_reading_of(p, s, exponent);
    IN_X(stretch_moments)(IN_X(locate)(p, s, piece.stretch, piece.start), piece.stretches, p->x.outer, piece.length,
                          &reading, out);
}

FN_COLD static void IN_X(piece_survey)(const fn_problem *p, ptrdiff_t s, ptrdiff_t index, fn_range *out)
{
    const fn_piece piece = fn_get_piece(p, index);
    *out = (fn_range){0};
    for (ptrdiff_t k = 0; k < piece.stretches; k++) {
        const TYPE(X) *x = IN_X(locate)(p, s, piece.stretch + k, piece.start);
        for (ptrdiff_t i = 0; i < piece.length; i++)
            fn_range_add(out, FROM(f64, X)(x[i]));
    }
}

static void IN_X(row_moments)(const fn_problem *p, ptrdiff_t s, int exponent, fn_moments *out)
{
    if (p->outer == p->side && fn_stretch(p) <= FN_CHUNK) { /* one piece; to find that out takes a dozen divisions */
        const fn_reading reading = fn_reading_of(p, s, exponent);
        IN_X(stretch_moments)(IN_X(locate)(p, s, 0, 0), 1, 0, fn_stretch(p), &reading, out);
        return;
    }
    const ptrdiff_t n_pieces = fn_count_pieces(p);
    IN_X(piece_moments)(p, s, 0, exponent, out);
    for (ptrdiff_t index = 1; index < n_pieces; index++) {
        fn_moments piece;
        IN_X(piece_moments)(p, s, index, exponent, &piece);
        fn_merge(fn_sums_of(p->statistic), out, &piece);
    }
}

/* Of statistics s <= i < s + n; where outer is 1, of one leaf each. */
static void IN_X(group_moments)(const fn_problem *p, ptrdiff_t s, ptrdiff_t n, double *mean, double *mean_lo,
                                double *m2)
{
    if (p->outer == 1) {
        const fn_reading reading = fn_reading_of(p, s, 0);
        IN_X(leaves)(IN_X(locate)(p, s, 0, 0), n, p->x.keep, p->segments * p->run, &reading, p->inverse_elements, mean,
                     mean_lo, m2);
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        fn_moments one;
        IN_X(row_moments)(p, s + i, 0, &one);
        mean[i] = one.mean;
        mean_lo[i] = one.mean_lo;
        m2[i] = one.m2;
    }
}

FN_COLD static void IN_X(rescue)(const fn_problem *p, ptrdiff_t s, fn_statistic *out)
{
    const ptrdiff_t n_pieces = fn_count_pieces(p);
    fn_range range;
    fn_moments moments;
    IN_X(piece_survey)(p, s, 0, &range);
    for (ptrdiff_t index = 1; index < n_pieces; index++) {
        fn_range piece;
        IN_X(piece_survey)(p, s, index, &piece);
        fn_range_merge(&range, &piece);
    }
    if (!fn_rescue_plan(p, &range, out))
        return;
    IN_X(row_moments)(p, s, out->exponent, &moments);
    fn_rescue_finish(p, &moments, IS_F64(C), out);
}

/* n <= FN_READY statistics from the s-th on: first all moments, then what divisions and roots make of them. */
static void IN_X(row_statistics)(const fn_problem *p, ptrdiff_t s, ptrdiff_t n, fn_statistic *out)
{
    if (p->statistic == FN_GIVEN) {
        for (ptrdiff_t i = 0; i < n; i++)
            fn_given(p->mean[s + i], p->rstd[s + i], IS_F64(C), &out[i]);
        return;
    }
    fn_moments moments[FN_READY];
    const fn_reading reading = fn_reading_of(p, s, 0);
    const int leaf = fn_stretches(p) == 1 && fn_stretch(p) <= FN_LEAF && p->statistic <= FN_SQUARES;
    for (ptrdiff_t i = 0; i < n; i++) {
        if (leaf)
            IN_X(leaf)(IN_X(locate)(p, s + i, 0, 0), 1, 0, fn_stretch(p), &reading, p->inverse_elements, &moments[i]);
        else
            IN_X(row_moments)(p, s + i, 0, &moments[i]);
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        if (!fn_finish(p, &moments[i], IS_F64(C), &out[i]))
            IN_X(rescue)(p, s + i, &out[i]);
        fn_report(p, s + i, &out[i]);
    }
}
