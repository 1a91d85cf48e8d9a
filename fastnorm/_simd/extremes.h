/* Sums of magnitudes, and extremes: what one pass finds without a shift. Of values in the arithmetic type C.
 *
 * A template, once for each C: narrower values are widened a leaf, or a few rows, at a time before they come here. Two
 * accumulators: `second` holds the sum or the extreme; of FN_RANGE `first` is the other end; of FN_LARGEST and
 * FN_SMALLEST it becomes NaN with the data, because min and max pass a NaN by.
 */
static inline TYPE(C) IN_C(first_start)(int sums) { return sums == FN_RANGE ? (TYPE(C))INFINITY : 0; }

static inline TYPE(C) IN_C(second_start)(int sums)
{
    return sums == FN_RANGE ? (TYPE(C)) - INFINITY : sums == FN_SMALLEST ? (TYPE(C))INFINITY : 0;
}

static inline __attribute__((always_inline)) void IN_C(extend)(const int sums, VEC x, VEC *first, VEC *second)
{
    const VEC zero = V(set1)(0), magnitude = V(abs)(x);
    switch (sums) {
    case FN_SUM_MAGNITUDES: *second = V(add)(*second, magnitude); return;
    case FN_RANGE:
        *first = V(min)(x, *first);
        *second = V(max)(x, *second);
        return;
    case FN_LARGEST: *second = V(max)(magnitude, *second); break;
    default: *second = V(min)(magnitude, *second);
    }
    *first = V(add)(*first, V(min)(zero, magnitude)); /* 0 or NaN */
}

static inline VEC IN_C(load_or_fill)(const TYPE(C) * x, ptrdiff_t n, VEC fill)
{
    return n >= LANES ? LOAD(C)(x) : n > 0 ? V(keep)(LOAD_PART(C)(x, n), fill, n) : fill;
}

/* A leaf, in two vectors of virtual lanes. */
static inline __attribute__((always_inline)) void IN_C(extend_leaf_as)(const TYPE(C) * x, ptrdiff_t stretches,
                                                                       ptrdiff_t gap, ptrdiff_t length, const int sums,
                                                                       fn_moments *out)
{
    TYPE(C) first[2 * LANES], second[2 * LANES];
    VEC first_a = V(set1)(IN_C(first_start)(sums)), second_a = V(set1)(IN_C(second_start)(sums));
    VEC first_b = first_a, second_b = second_a;
    const VEC fill = V(set1)(sums == FN_SUM_MAGNITUDES ? 0 : x[0]); /* neutral: an extreme may meet it again */
    for (ptrdiff_t k = 0; k < stretches; k++) {
        const TYPE(C) *at = (const TYPE(C) *)((const char *)x + k * gap);
        for (ptrdiff_t i = 0; i < length; i += 2 * LANES) {
            vec_prefetch(at + i, FN_NEAR, 2 * LANES * sizeof *at);
            IN_C(extend)(sums, IN_C(load_or_fill)(at + i, length - i, fill), &first_a, &second_a);
            IN_C(extend)(sums, IN_C(load_or_fill)(at + i + LANES, length - i - LANES, fill), &first_b, &second_b);
        }
    }
    if (sums == FN_SUM_MAGNITUDES) {
        *out = (fn_moments){.m2 = V(tree)(V(add)(second_a, second_b))};
    } else {
        STORE(C)(first, first_a);
        STORE(C)(first + LANES, first_b);
        STORE(C)(second, second_a);
        STORE(C)(second + LANES, second_b);
        *out = (fn_moments){.mean = first[0], .m2 = second[0]};
        for (int i = 1; i < 2 * LANES; i++)
            fn_merge(sums, out, &(fn_moments){.mean = first[i], .m2 = second[i]});
    }
    out->count = (double)(stretches * length);
}

static void IN_C(extend_leaf)(const TYPE(C) * x, ptrdiff_t stretches, ptrdiff_t gap, ptrdiff_t length, int sums,
                              fn_moments *out)
{
    switch (sums) {
    case FN_SUM_MAGNITUDES: IN_C(extend_leaf_as)(x, stretches, gap, length, FN_SUM_MAGNITUDES, out); break;
    case FN_LARGEST: IN_C(extend_leaf_as)(x, stretches, gap, length, FN_LARGEST, out); break;
    case FN_SMALLEST: IN_C(extend_leaf_as)(x, stretches, gap, length, FN_SMALLEST, out); break;
    default: IN_C(extend_leaf_as)(x, stretches, gap, length, FN_RANGE, out);
    }
}

/* n of up to FN_ROW_GROUP rows of statistics side by side, into `first` and `second` of each. */
static inline __attribute__((always_inline)) void IN_C(extend_group_as)(const char *x, ptrdiff_t stride, ptrdiff_t n,
                                                                        ptrdiff_t width, const int sums,
                                                                        TYPE(C) * first, TYPE(C) * second)
{
    const VEC zero = V(set1)(0);
    const ptrdiff_t ahead = fn_rows_ahead(stride);
    for (ptrdiff_t c = 0; c < width; c += LANES) {
        /* A sum starts anew for each group, which keeps the chain of roundings short. */
        VEC a = LOAD(C)(first + c), b = sums == FN_SUM_MAGNITUDES ? zero : LOAD(C)(second + c);
        for (ptrdiff_t r = 0; r < n; r++) {
            const TYPE(C) *row = (const TYPE(C) *)(x + r * stride) + c;
            vec_prefetch(row, ahead, LANES * sizeof *row);
            IN_C(extend)(sums, IN_C(load_or_fill)(row, width - c, zero), &a, &b);
        }
        STORE(C)(first + c, a);
        STORE(C)(second + c, sums == FN_SUM_MAGNITUDES ? V(add)(LOAD(C)(second + c), b) : b);
    }
}

static void IN_C(extend_group)(const char *x, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t width, int sums, TYPE(C) * first,
                               TYPE(C) * second)
{
    switch (sums) {
    case FN_SUM_MAGNITUDES: IN_C(extend_group_as)(x, stride, n, width, FN_SUM_MAGNITUDES, first, second); break;
    case FN_LARGEST: IN_C(extend_group_as)(x, stride, n, width, FN_LARGEST, first, second); break;
    case FN_SMALLEST: IN_C(extend_group_as)(x, stride, n, width, FN_SMALLEST, first, second); break;
    default: IN_C(extend_group_as)(x, stride, n, width, FN_RANGE, first, second);
    }
}
