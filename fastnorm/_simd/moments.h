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

static inline void IN_X(add_moments)(VEC a, VEC b, VEC sum[2], VEC square[2])
{
    sum[0] = V(add)(sum[0], a);
    sum[1] = V(add)(sum[1], b);
    square[0] = V(fma)(a, a, square[0]);
    square[1] = V(fma)(b, b, square[1]);
}

static void IN_X(leaf_moments)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length,
                               double inverse_n, fn_moments *out)
{
    const VEC zero = V(set1)(0);
    VEC a = zero, b = zero;
    ptrdiff_t pilot = length < FN_PILOT ? length : FN_PILOT, i = 0;
    for (; i + 2 * LANES <= pilot; i += 2 * LANES) {
        a = V(add)(a, LOAD(X)(x + i));
        b = V(add)(b, LOAD(X)(x + i + LANES));
    }
    if (i < pilot) {
        a = V(add)(a, IN_X(load_some)(x + i, pilot - i, zero));
        b = V(add)(b, IN_X(load_some)(x + i + LANES, pilot - i - LANES, zero));
    }
    double inverse_pilot = pilot == FN_PILOT ? 1.0 / FN_PILOT : stretches == 1 ? inverse_n : 1.0 / (double)pilot;
    TYPE(C) shift = V(tree)(V(add)(a, b)) * (TYPE(C))inverse_pilot;

    for (int pass = 0;; pass++) {
        const VEC s = V(set1)(shift);
        VEC sum[2] = {zero, zero}, square[4] = {zero, zero, zero, zero};
        for (ptrdiff_t k = 0; k < stretches; k++) {
            const TYPE(X) *at = (const TYPE(X) *)((const char *)x + k * gap);
            for (i = 0; i + 4 * LANES <= length; i += 4 * LANES) {
                vec_prefetch_ahead(at + i, 4 * LANES * sizeof *at);
                for (int half = 0; half < 4; half += 2) {
                    a = V(sub)(LOAD(X)(at + i + half * LANES), s);
                    b = V(sub)(LOAD(X)(at + i + (half + 1) * LANES), s);
                    IN_X(add_moments)(a, b, sum, square + half);
                }
            }
            for (int half = 0; i < length; i += 2 * LANES, half = 2) {
                vec_prefetch_ahead(at + i, 2 * LANES * sizeof *at);
                a = V(sub)(IN_X(load_some)(at + i, length - i, s), s);
                b = V(sub)(IN_X(load_some)(at + i + LANES, length - i - LANES, s), s);
                IN_X(add_moments)(a, b, sum, square + half);
            }
        }
        const VEC squares = V(add)(V(add)(square[0], square[2]), V(add)(square[1], square[3]));
        double total = V(tree)(V(add)(sum[0], sum[1])), total_square = V(tree)(squares);
        double step = total * inverse_n, explained = total * step;
        if (pass == 0 && explained > 0.5 * total_square) {
            TYPE(C) better = (TYPE(C))(shift + step);
            if (better != shift) {
                shift = better;
                continue;
            }
        }
        double m2 = total_square - explained;
        out->count = (double)(stretches * length);
        out->mean = fn_two_sum(shift, step, &out->mean_lo);
        out->m2 = m2 < 0 ? 0 : m2; /* this way round a NaN stays */
        return;
    }
}

/* RMS norm's leaf: the sum of squares, in four vectors of virtual lanes. */
static void IN_X(leaf_squares)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length, fn_moments *out)
{
    const VEC zero = V(set1)(0);
    VEC v0, v1, v2, v3, s0 = zero, s1 = zero, s2 = zero, s3 = zero;
    for (ptrdiff_t k = 0; k < stretches; k++) {
        const TYPE(X) *at = (const TYPE(X) *)((const char *)x + k * gap);
        ptrdiff_t i = 0;
        for (; i + 4 * LANES <= length; i += 4 * LANES) {
            vec_prefetch_ahead(at + i, 4 * LANES * sizeof *at);
            v0 = LOAD(X)(at + i);
            v1 = LOAD(X)(at + i + LANES);
            v2 = LOAD(X)(at + i + 2 * LANES);
            v3 = LOAD(X)(at + i + 3 * LANES);
            s0 = V(fma)(v0, v0, s0);
            s1 = V(fma)(v1, v1, s1);
            s2 = V(fma)(v2, v2, s2);
            s3 = V(fma)(v3, v3, s3);
        }
        if (i < length) {
            v0 = IN_X(load_some)(at + i, length - i, zero);
            v1 = IN_X(load_some)(at + i + LANES, length - i - LANES, zero);
            v2 = IN_X(load_some)(at + i + 2 * LANES, length - i - 2 * LANES, zero);
            v3 = IN_X(load_some)(at + i + 3 * LANES, length - i - 3 * LANES, zero);
            s0 = V(fma)(v0, v0, s0);
            s1 = V(fma)(v1, v1, s1);
            s2 = V(fma)(v2, v2, s2);
            s3 = V(fma)(v3, v3, s3);
        }
    }
    out->count = (double)(stretches * length);
    out->mean = out->mean_lo = 0;
    out->m2 = V(tree)(V(add)(V(add)(s0, s2), V(add)(s1, s3)));
}

static inline void IN_X(leaf)(const TYPE(X) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length, int sums,
                              double inverse_n, fn_moments *out)
{
    if (sums == FN_SUM_SQUARES)
        IN_X(leaf_squares)(x, stretches, gap, length, out);
    else
        IN_X(leaf_moments)(x, stretches, gap, length, inverse_n, out);
}
