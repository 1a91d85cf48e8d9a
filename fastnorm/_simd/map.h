/* The plain map, y = ((x - mean) * scale + shift) * weight + bias, from storage type X to Y in arithmetic type C.
 *
 * A template, after parameters.h. Centred and never folded to x * a + b, which loses the digits that the mean and the
 * data share; shift carries what rounding took from the mean. Three operations, as cheap as the fold when memory is the
 * limit. x == y is allowed: every element is read before it is written.
 */

/* Less than one vector; parameters may be NULL. Never a call: AVX2's vectors, which are two registers, would be passed
 * in memory, and read from there in the loops around it (1.12 times as long). */
static inline __attribute__((always_inline)) void IN_XY(map_part)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, VEC mean,
                                                                  VEC scale, VEC shift,
                                                                  const IN_C(parameters) * parameters, ptrdiff_t offset)
{
    VEC value = V(fma)(V(sub)(LOAD_PART(X)(x, n), mean), scale, shift);
    if (parameters) {
        const TYPE(C) *weight = parameters->weight + offset * parameters->weight_step;
        const TYPE(C) *bias = parameters->bias + offset * parameters->bias_step;
        value = V(fma)(value, LOAD_PART(C)(weight, n), LOAD_PART(C)(bias, n));
    }
    STORE_PART(Y)(y, value, n);
}

/* Whether vectors are taken four at a time: not beside a conversion, which takes longer and much code. */
enum { IN_XY(unrolled) = sizeof(TYPE(X)) == sizeof(TYPE(C)) && sizeof(TYPE(Y)) == sizeof(TYPE(C)) };

/* Whether rows without gaps are mapped as one: for the same types, where results can go past the caches. */
enum { IN_XY(joins) = IN_XY(unrolled) && vec_streams };

/* From element i on, so many whole vectors, and a call for lines to come. All are read before the first is written:
 * where y starts a few bytes behind x in their pages, the processor takes a load for one of what the store before it
 * wrote, and waits. */
static inline __attribute__((always_inline)) void
IN_XY(map_vectors)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t i, const int vectors, VEC mean, VEC scale, VEC shift,
                   const TYPE(C) * weight, ptrdiff_t weight_step, const TYPE(C) * bias, ptrdiff_t bias_step,
                   ptrdiff_t ahead, const int affine, const int stream)
{
    VEC value[4];
    if (ahead) {
        vec_prefetch(x + i, ahead, vectors * LANES * sizeof *x);
        if (!stream)
            vec_prefetch(y + i, FN_NEAR_STORES, vectors * LANES * sizeof *y); /* a store waits for its line, too */
    }
    for (int k = 0; k < vectors; k++) {
        const ptrdiff_t at = i + k * LANES;
        value[k] = V(fma)(V(sub)(LOAD(X)(x + at), mean), scale, shift);
        if (affine)
            value[k] = V(fma)(value[k], LOAD(C)(weight + at * weight_step), LOAD(C)(bias + at * bias_step));
    }
    for (int k = 0; k < vectors; k++) {
        if (stream)
            STREAM(Y)(y + i + k * LANES, value[k]);
        else
            STORE(Y)(y + i + k * LANES, value[k]);
    }
}

/* Rows of n elements, the steps of both in bytes; parameters start at offset in each. Past the caches, a line that a
 * row shares with the next one is put together before it leaves: in two parts it takes 100 ns. */
static inline __attribute__((always_inline)) void IN_XY(map_as)(const void *x, ptrdiff_t x_step, void *y,
                                                                ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t n,
                                                                const TYPE(C) * means, const TYPE(C) * scales,
                                                                const TYPE(C) * shifts,
                                                                const IN_C(parameters) * parameters, ptrdiff_t offset,
                                                                const int affine, ptrdiff_t ahead, const int stream)
{
    const ptrdiff_t weight_step = affine ? parameters->weight_step : 0, bias_step = affine ? parameters->bias_step : 0;
    const TYPE(C) *weight = affine ? parameters->weight + offset * weight_step : NULL;
    const TYPE(C) *bias = affine ? parameters->bias + offset * bias_step : NULL;
    const int follow = stream && IN_XY(unrolled) && n >= 2 * LANES && y_step == n * (ptrdiff_t)sizeof(TYPE(Y));
    TYPE(Y) line[LANES] __attribute__((aligned(FN_LINE)));
    for (ptrdiff_t r = 0; r < rows; r++) {
        const TYPE(X) *from = (const TYPE(X) *)((const char *)x + r * x_step);
        TYPE(Y) *to = (TYPE(Y) *)((char *)y + r * y_step);
        const VEC mean = V(set1)(means[r]), scale = V(set1)(scales[r]), shift = V(set1)(shifts[r]);
        const int shares = follow && r + 1 < rows;
        ptrdiff_t i = 0;
        if (stream) {
            i = fn_least(fn_lead(to, LANES, sizeof *to), n);
            if (i > 0 && follow && r > 0) {
                IN_XY(map_part)(from, line + LANES - i, i, mean, scale, shift, parameters, offset);
                STREAM(Y)(to + i - LANES, LOAD(Y)(line));
            } else if (i > 0) {
                IN_XY(map_part)(from, to, i, mean, scale, shift, parameters, offset);
            }
            if (!shares && (uintptr_t)(to + n) % (LANES * sizeof *to))
                vec_prefetch(to + n, 0, 1); /* shared with another call's row: read before it is written */
        }
        for (; IN_XY(unrolled) && i + 4 * LANES <= n; i += 4 * LANES)
            IN_XY(map_vectors)(from, to, i, 4, mean, scale, shift, weight, weight_step, bias, bias_step, ahead, affine,
                               stream);
        for (; i + LANES <= n; i += LANES)
            IN_XY(map_vectors)(from, to, i, 1, mean, scale, shift, weight, weight_step, bias, bias_step, ahead, affine,
                               stream);
        if (i < n)
            IN_XY(map_part)(from + i, shares ? line : to + i, n - i, mean, scale, shift, parameters, offset + i);
    }
}

/* Rows of n >= LANES elements that follow one another without a gap, as if they were one: all vectors are whole, and
 * those of y are aligned; where one lies in two rows, so do its means, scales and shifts. */
static inline __attribute__((always_inline)) void IN_XY(map_joined_as)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t rows,
                                                                       ptrdiff_t n, const TYPE(C) * means,
                                                                       const TYPE(C) * scales, const TYPE(C) * shifts,
                                                                       ptrdiff_t ahead, const int stream)
{
    VEC mean = V(set1)(means[0]), scale = V(set1)(scales[0]), shift = V(set1)(shifts[0]);
    ptrdiff_t i = fn_lead(y, LANES, sizeof *y);
    if (i > 0)
        IN_XY(map_part)(x, y, i, mean, scale, shift, NULL, 0);
    for (ptrdiff_t r = 0, end = n; r < rows; r++, end += n) {
        for (; !stream && i + 4 * LANES <= end; i += 4 * LANES)
            IN_XY(map_vectors)(x, y, i, 4, mean, scale, shift, NULL, 0, NULL, 0, ahead, 0, stream);
        for (; i + LANES <= end; i += LANES)
            IN_XY(map_vectors)(x, y, i, 1, mean, scale, shift, NULL, 0, NULL, 0, ahead, 0, stream);
        if (r + 1 == rows)
            break;
        const VEC next_mean = V(set1)(means[r + 1]), next_scale = V(set1)(scales[r + 1]);
        const VEC next_shift = V(set1)(shifts[r + 1]);
        if (i < end) {
            const ptrdiff_t left = end - i;
            IN_XY(map_vectors)(x, y, i, 1, V(keep)(mean, next_mean, left), V(keep)(scale, next_scale, left),
                               V(keep)(shift, next_shift, left), NULL, 0, NULL, 0, ahead, 0, stream);
            i += LANES;
        }
        mean = next_mean;
        scale = next_scale;
        shift = next_shift;
    }
    if (i < rows * n)
        IN_XY(map_part)(x + i, y + i, rows * n - i, mean, scale, shift, NULL, 0);
}

static FN_APART void IN_XY(map_joined_rows)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t rows, ptrdiff_t n,
                                            const TYPE(C) * means, const TYPE(C) * scales, const TYPE(C) * shifts,
                                            ptrdiff_t ahead, int stream)
{
    if (stream)
        IN_XY(map_joined_as)(x, y, rows, n, means, scales, shifts, ahead, 1);
    else
        IN_XY(map_joined_as)(x, y, rows, n, means, scales, shifts, ahead, 0);
}

/* parameters: NULL where mean, scale and shift hold weight and bias. ahead: how many bytes ahead x is fetched. */
static FN_APART void IN_XY(map_rows)(const void *x, ptrdiff_t x_step, void *y, ptrdiff_t y_step, ptrdiff_t rows,
                                     ptrdiff_t n, const TYPE(C) * mean, const TYPE(C) * scale, const TYPE(C) * shift,
                                     const IN_C(parameters) * parameters, ptrdiff_t offset, ptrdiff_t ahead, int stream)
{
    if (vec_streams && parameters && stream)
        IN_XY(map_as)(x, x_step, y, y_step, rows, n, mean, scale, shift, parameters, offset, 1, ahead, 1);
    else if (parameters)
        IN_XY(map_as)(x, x_step, y, y_step, rows, n, mean, scale, shift, parameters, offset, 1, ahead, 0);
    else if (vec_streams && stream)
        IN_XY(map_as)(x, x_step, y, y_step, rows, n, mean, scale, shift, parameters, offset, 0, ahead, 1);
    else
        IN_XY(map_as)(x, x_step, y, y_step, rows, n, mean, scale, shift, parameters, offset, 0, ahead, 0);
}

static inline void IN_XY(map)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_map *map,
                              const IN_C(parameters) * parameters, ptrdiff_t offset, ptrdiff_t ahead, int stream)
{
    const TYPE(C) mean = (TYPE(C))map->mean, scale = (TYPE(C))map->scale, shift = (TYPE(C))map->shift;
    IN_XY(map_rows)(x, 0, y, 0, 1, n, &mean, &scale, &shift, parameters, offset, ahead, stream);
}

/* One map for all elements, of any types: for a table. */
static void IN_XY(map_any)(const void *x, void *y, ptrdiff_t n, const fn_map *map, int stream)
{
    IN_XY(map)(x, y, n, map, NULL, 0, FN_NEAR, stream);
}
