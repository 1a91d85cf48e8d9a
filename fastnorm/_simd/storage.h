/* Short rows from storage type X to arithmetic type C and back.
 *
 * A template. For kernels whose arithmetic takes longer than a pass over the first-level cache: they are compiled once
 * for each C, and not for each pair of types.
 */

static FN_APART void IN_X(read)(const void *from, void *to, ptrdiff_t n)
{
    const TYPE(X) *x = from;
    TYPE(C) *row = to;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        STORE(C)(row + i, LOAD(X)(x + i));
    if (i < n)
        STORE_PART(C)(row + i, LOAD_PART(X)(x + i, n - i), n - i);
}

static FN_APART void IN_X(write)(const void *from, void *to, ptrdiff_t n, int stream)
{
    const TYPE(C) *row = from;
    TYPE(X) *y = to;
    ptrdiff_t i = 0;
    if (vec_streams && stream) {
        i = fn_least(fn_lead(y, LANES, sizeof *y), n);
        if (i > 0)
            STORE_PART(X)(y, LOAD_PART(C)(row, i), i);
    }
    for (; i + LANES <= n; i += LANES) {
        const VEC value = LOAD(C)(row + i);
        if (stream)
            STREAM(X)(y + i, value);
        else
            STORE(X)(y + i, value);
    }
    if (i < n)
        STORE_PART(X)(y + i, LOAD_PART(C)(row + i, n - i), n - i);
}
