/* Moments of contiguous stretches of storage type X in arithmetic type C: blocked single-pass Welford.
 *
 * A template: kernels.h includes it once for each pair of types, with C and X defined. A leaf is one stretch of at most
 * FN_LEAF elements, or several short ones (planes of 7x7) with `gap` bytes from one's start to the next, each of which
 * starts at lane 0.
 *
 * A leaf is summed about a shift s, in virtual lanes: d = x - s; S1 += d; S2 = fma(d, d, S2). Three operations and one
 * load for each vector, no division, and no cancellation to speak of, because s is the mean of the leaf's first
 * FN_PILOT elements. Where those misled (first rows of an image black, the rest not), the leaf is summed once more
 * about its own mean. S1 has two vectors of lanes, S2 four: the variance takes most of its error from how long its sums
 * are. Leaves, then chunks, are merged in index order.
 */
static inline VEC IN_X(load_some)(const TYPE(X) * x, ptrdiff_t n, VEC fill)
{
    if (n >= LANES)
        return LOAD(X)(x);
    return n > 0 ? V(keep)(LOAD_PART(X)(x, n), fill, n) : fill;
}

/* Two vectors into the sums; those of squares take turns. */
static inline void IN_X(add_moments)(const TYPE(X) * at, ptrdiff_t n, VEC s, VEC sum[2], VEC square[2])
{
    for (int i = 0; i < 2; i++) {
        const VEC d = V(sub)(IN_X(load_some)(at + i * LANES, n - i * LANES, s), s);
        sum[i] = V(add)(sum[i], d);
        square[i] = V(fma)(d, d, square[i]);
    }
}

static inline __attribute__((always_inline)) TYPE(C)
    IN_X(pilot)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t length, double inverse_n)
{
    const VEC zero = V(set1)(0);
    VEC a = zero, b = zero;
    const ptrdiff_t pilot = length < FN_PILOT ? length : FN_PILOT;
    for (ptrdiff_t i = 0; i < pilot; i += 2 * LANES) {
        a = V(add)(a, IN_X(load_some)(x + i, pilot - i, zero));
        b = V(add)(b, IN_X(load_some)(x + i + LANES, pilot - i - LANES, zero));
    }
    double inverse_pilot = pilot == FN_PILOT ? 1.0 / FN_PILOT : stretches == 1 ? inverse_n : 1.0 / (double)pilot;
    return V(tree)(V(add)(a, b)) * (TYPE(C))inverse_pilot;
}

/* The sums of one leaf about a shift. */
static inline __attribute__((always_inline)) void IN_X(sum_about_as)(const TYPE(X) * x, ptrdiff_t stretches,
                                                                     ptrdiff_t gap, ptrdiff_t length, ptrdiff_t ahead,
                                                                     TYPE(C) shift, double *total, double *total_square)
{
    const VEC zero = V(set1)(0), s = V(set1)(shift);
    VEC sum[2] = {zero, zero}, even[2] = {zero, zero}, odd[2] = {zero, zero};
    for (ptrdiff_t k = 0; k < stretches; k++) {
        const TYPE(X) *at = (const TYPE(X) *)((const char *)x + k * gap);
        ptrdiff_t i = 0;
        for (; i + 4 * LANES <= length; i += 4 * LANES) {
            if (ahead)
                vec_prefetch(at + i, ahead, 4 * LANES * sizeof *at);
            IN_X(add_moments)(at + i, 2 * LANES, s, sum, even);
            IN_X(add_moments)(at + i + 2 * LANES, 2 * LANES, s, sum, odd);
        }
        if (i < length) {
            if (ahead)
                vec_prefetch(at + i, ahead, 4 * LANES * sizeof *at);
            IN_X(add_moments)(at + i, length - i, s, sum, even);
            if (i + 2 * LANES < length)
                IN_X(add_moments)(at + i + 2 * LANES, length - i - 2 * LANES, s, sum, odd);
        }
    }
    *total = V(tree)(V(add)(sum[0], sum[1]));
    *total_square = V(tree)(V(add)(V(add)(even[0], odd[0]), V(add)(even[1], odd[1])));
}

/* Of several stretches, or once more. Not where leaves of one stretch are summed: the loop over stretches takes the
 * registers of the one inside, and those leaves 1.1 times as long. */
static FN_APART void IN_X(sum_about)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length,
                                     ptrdiff_t ahead, TYPE(C) shift, double *total, double *total_square)
{
    IN_X(sum_about_as)(x, stretches, gap, length, ahead, shift, total, total_square);
}

/* What the sums of a leaf come to. 1 where the pilot misled. */
static inline __attribute__((always_inline)) int
IN_X(conclude)(double shift, double total, double square, double inverse_n, double *mean, double *mean_lo, double *m2)
{
    const double part = total * inverse_n, explained = total * part, rest = square - explained;
    *mean = fn_two_sum(shift, part, mean_lo);
    *m2 = rest < 0 ? 0 : rest; /* this way round a NaN stays */
    return (explained > 0.5 * square) & ((TYPE(C))(shift + part) != shift);
}

/* The sum once more, about the leaf's own mean, where the pilot misled. */
FN_COLD static void IN_X(sum_again)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length,
                                    double inverse_n, double *mean, double *mean_lo, double *m2)
{
    const TYPE(C) shift = (TYPE(C))(*mean);
    double total, square;
    IN_X(sum_about)(x, stretches, gap, length, 0, shift, &total, &square);
    IN_X(conclude)(shift, total, square, inverse_n, mean, mean_lo, m2);
}

/* mean, mean_lo and m2 of up to FN_GROUP_ROWS leaves of one stretch each, `step` bytes from one's start to the next.
 * One loop for each step of a leaf: it waits for little else of its own then, and several leaves are under way at once.
 */
static FN_APART void IN_X(moments)(const TYPE(X) * x, ptrdiff_t leaves, ptrdiff_t step, ptrdiff_t length,
                                   ptrdiff_t ahead, double inverse_n, double *mean, double *mean_lo, double *m2)
{
    double shift[FN_GROUP_ROWS], total[FN_GROUP_ROWS], square[FN_GROUP_ROWS];
    int again = 0;
    for (ptrdiff_t i = 0; i < leaves; i++)
        shift[i] = IN_X(pilot)((const TYPE(X) *)((const char *)x + i * step), 1, length, inverse_n);
    for (ptrdiff_t i = 0; i < leaves; i++)
        IN_X(sum_about_as)((const TYPE(X) *)((const char *)x + i * step), 1, 0, length, ahead, (TYPE(C))shift[i],
                           &total[i], &square[i]);
    for (ptrdiff_t i = 0; i < leaves; i++)
        again |= IN_X(conclude)(shift[i], total[i], square[i], inverse_n, &mean[i], &mean_lo[i], &m2[i]);
    for (ptrdiff_t i = 0; again && i < leaves; i++)
        if (IN_X(conclude)(shift[i], total[i], square[i], inverse_n, &mean[i], &mean_lo[i], &m2[i]))
            IN_X(sum_again)((const TYPE(X) *)((const char *)x + i * step), 1, 0, length, inverse_n, &mean[i],
                            &mean_lo[i], &m2[i]);
}

/* The same of one leaf of several stretches. */
static FN_APART void IN_X(moments_of_stretches)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length,
                                                ptrdiff_t ahead, double inverse_n, fn_moments *out)
{
    const TYPE(C) shift = IN_X(pilot)(x, stretches, length, inverse_n);
    double total, square;
    IN_X(sum_about)(x, stretches, gap, length, ahead, shift, &total, &square);
    if (IN_X(conclude)(shift, total, square, inverse_n, &out->mean, &out->mean_lo, &out->m2))
        IN_X(sum_again)(x, stretches, gap, length, inverse_n, &out->mean, &out->mean_lo, &out->m2);
}

static inline void IN_X(add_squares)(const TYPE(X) * at, ptrdiff_t n, VEC square[4])
{
    for (int i = 0; i < 4; i++) {
        const VEC v = IN_X(load_some)(at + i * LANES, n - i * LANES, V(set1)(0));
        square[i] = V(fma)(v, v, square[i]);
    }
}

/* The same of RMS norm: sums of squares, in four vectors of virtual lanes. */
static FN_APART void IN_X(squares)(const TYPE(X) * x, ptrdiff_t leaves, ptrdiff_t step, ptrdiff_t stretches,
                                   ptrdiff_t gap, ptrdiff_t length, ptrdiff_t ahead, double *mean, double *mean_lo,
                                   double *m2)
{
    const VEC zero = V(set1)(0);
    for (ptrdiff_t leaf = 0; leaf < leaves; leaf++) {
        const char *at = (const char *)x + leaf * step;
        VEC square[4] = {zero, zero, zero, zero};
        for (ptrdiff_t k = 0; k < stretches; k++, at += gap) {
            const TYPE(X) *from = (const TYPE(X) *)at;
            ptrdiff_t i = 0;
            for (; i + 4 * LANES <= length; i += 4 * LANES) {
                if (ahead)
                    vec_prefetch(from + i, ahead, 4 * LANES * sizeof *from);
                IN_X(add_squares)(from + i, 4 * LANES, square);
            }
            if (i < length)
                IN_X(add_squares)(from + i, length - i, square);
        }
        mean[leaf] = mean_lo[leaf] = 0;
        m2[leaf] = V(tree)(V(add)(V(add)(square[0], square[2]), V(add)(square[1], square[3])));
    }
}

/* Leaves of one stretch each. */
static inline void IN_X(leaves)(const TYPE(X) * x, ptrdiff_t leaves, ptrdiff_t step, ptrdiff_t length,
                                const fn_reading *reading, double inverse_n, double *mean, double *mean_lo, double *m2)
{
    if (reading->sums == FN_SUM_SQUARES)
        IN_X(squares)(x, leaves, step, 1, 0, length, reading->ahead, mean, mean_lo, m2);
    else
        IN_X(moments)(x, leaves, step, length, reading->ahead, inverse_n, mean, mean_lo, m2);
}

static FN_APART void IN_X(leaf)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length,
                                const fn_reading *reading, double inverse_n, fn_moments *out)
{
    if (stretches == 1)
        IN_X(leaves)(x, 1, 0, length, reading, inverse_n, &out->mean, &out->mean_lo, &out->m2);
    else if (reading->sums == FN_SUM_SQUARES)
        IN_X(squares)(x, 1, 0, stretches, gap, length, FN_NEAR_BESIDE, &out->mean, &out->mean_lo, &out->m2);
    else
        IN_X(moments_of_stretches)(x, stretches, gap, length, FN_NEAR_BESIDE, inverse_n, out);
    out->count = (double)(stretches * length);
}
