/* The plain map, y = ((x - mean) * scale + shift) * weight + bias, from storage type X to Y in arithmetic type C.
 *
 * A template, after parameters.h. Centred and never folded to x * a + b, which loses the digits that the mean and the
 * data share; shift carries what rounding took from the mean. Three operations, as cheap as the fold when memory is the
 * limit. x == y is allowed: every element is read before it is written.
 */

/* Less than one vector; parameters may be NULL. */
static void IN_XY(map_part)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, VEC mean, VEC scale, VEC shift,
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

/* n elements whose parameters start at offset. */
static inline __attribute__((always_inline)) void IN_XY(map_as)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n,
                                                                const fn_map *map, const IN_C(parameters) * parameters,
                                                                ptrdiff_t offset, const int affine, const int stream)
{
    const VEC mean = V(set1)((TYPE(C))map->mean), scale = V(set1)((TYPE(C))map->scale);
    const VEC shift = V(set1)((TYPE(C))map->shift);
    const ptrdiff_t weight_step = affine ? parameters->weight_step : 0, bias_step = affine ? parameters->bias_step : 0;
    const TYPE(C) *weight = affine ? parameters->weight + offset * weight_step : NULL;
    const TYPE(C) *bias = affine ? parameters->bias + offset * bias_step : NULL;
    ptrdiff_t i = 0;
    if (stream) {
        const ptrdiff_t misaligned = (ptrdiff_t)((uintptr_t)y % (LANES * sizeof *y) / sizeof *y);
        i = misaligned == 0 ? 0 : LANES - misaligned < n ? LANES - misaligned : n;
        if (i > 0)
            IN_XY(map_part)(x, y, i, mean, scale, shift, parameters, offset);
    }
    for (; i + LANES <= n; i += LANES) {
        vec_prefetch_ahead(x + i, LANES * sizeof *x);
        VEC value = V(fma)(V(sub)(LOAD(X)(x + i), mean), scale, shift);
        if (affine)
            value = V(fma)(value, LOAD(C)(weight + i * weight_step), LOAD(C)(bias + i * bias_step));
        if (stream) {
            STREAM(Y)(y + i, value);
        } else {
            vec_prefetch_ahead(y + i, LANES * sizeof *y); /* a store waits for its line, too */
            STORE(Y)(y + i, value);
        }
    }
    if (i < n)
        IN_XY(map_part)(x + i, y + i, n - i, mean, scale, shift, parameters, offset + i);
}

/* parameters: NULL where the map holds weight and bias. */
static FN_APART void IN_XY(map)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_map *map,
                                const IN_C(parameters) * parameters, ptrdiff_t offset, int stream)
{
    if (vec_streams && parameters && stream)
        IN_XY(map_as)(x, y, n, map, parameters, offset, 1, 1);
    else if (parameters)
        IN_XY(map_as)(x, y, n, map, parameters, offset, 1, 0);
    else if (vec_streams && stream)
        IN_XY(map_as)(x, y, n, map, parameters, offset, 0, 1);
    else
        IN_XY(map_as)(x, y, n, map, parameters, offset, 0, 0);
}

/* One map for all elements, of any types: for a table. */
static void IN_XY(map_any)(const void *x, void *y, ptrdiff_t n, const fn_map *map, int stream)
{
    IN_XY(map)(x, y, n, map, NULL, 0, stream);
}
