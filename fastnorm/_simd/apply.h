/* The apply, y = ((x - mean) * rstd + shift) * weight + bias, from storage type X to Y in arithmetic type C.
 *
 * A template, after chunk.h and parameters.h. Centred and never folded to x * a + b, which loses the digits that the
 * mean and the data share; shift carries what rounding took from the mean. Three operations, as cheap as the fold when
 * memory is the limit. x == y is allowed: every element is read before it is written.
 */

/* Less than one vector. */
static void IN_XY(map_part)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, VEC mean, VEC rstd, VEC shift,
                            const IN_C(parameters) * parameters, ptrdiff_t offset)
{
    VEC value = V(fma)(V(sub)(LOAD_PART(X)(x, n), mean), rstd, shift);
    if (parameters->present) {
        const TYPE(C) *weight = parameters->weight + offset * parameters->weight_step;
        const TYPE(C) *bias = parameters->bias + offset * parameters->bias_step;
        value = V(fma)(value, LOAD_PART(C)(weight, n), LOAD_PART(C)(bias, n));
    }
    STORE_PART(Y)(y, value, n);
}

/* n elements whose parameters start at offset. */
static inline __attribute__((always_inline)) void IN_XY(map_as)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n,
                                                                const fn_statistic *s,
                                                                const IN_C(parameters) * parameters, ptrdiff_t offset,
                                                                const int affine, const int stream)
{
    const VEC mean = V(set1)((TYPE(C))s->mean), rstd = V(set1)((TYPE(C))s->rstd), shift = V(set1)((TYPE(C))s->shift);
    const ptrdiff_t weight_step = parameters->weight_step, bias_step = parameters->bias_step;
    const TYPE(C) *weight = parameters->weight + offset * weight_step, *bias = parameters->bias + offset * bias_step;
    ptrdiff_t i = 0;
    if (stream) {
        const ptrdiff_t misaligned = (ptrdiff_t)((uintptr_t)y % (LANES * sizeof *y) / sizeof *y);
        i = misaligned == 0 ? 0 : LANES - misaligned < n ? LANES - misaligned : n;
        if (i > 0)
            IN_XY(map_part)(x, y, i, mean, rstd, shift, parameters, offset);
    }
    for (; i + LANES <= n; i += LANES) {
        VEC value = V(fma)(V(sub)(LOAD(X)(x + i), mean), rstd, shift);
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
        IN_XY(map_part)(x + i, y + i, n - i, mean, rstd, shift, parameters, offset + i);
}

static void IN_XY(map)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_statistic *s,
                       const IN_C(parameters) * parameters, ptrdiff_t offset, int stream)
{
    if (parameters->present && stream)
        IN_XY(map_as)(x, y, n, s, parameters, offset, 1, 1);
    else if (parameters->present)
        IN_XY(map_as)(x, y, n, s, parameters, offset, 1, 0);
    else if (stream)
        IN_XY(map_as)(x, y, n, s, parameters, offset, 0, 1);
    else
        IN_XY(map_as)(x, y, n, s, parameters, offset, 0, 0);
}
