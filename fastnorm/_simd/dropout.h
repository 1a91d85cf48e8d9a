/* Dropout, y = x / (1 - p) where an element is kept and +0 where it is dropped, in arithmetic type C.
 *
 * A template, once for each C, after all results.h. Other storage types go through scratch, by the apply's own loop
 * with nothing to map: the random bits take longer than that, and sixteen pairs of types would be large.
 *
 * The factor 1 / (1 - p) comes as high + low, and y = high x + low x is one fma more than x * factor: within half a
 * unit in the last place of C and a trace, where the product with a rounded factor can be 1.5 off. low > 0, so that
 * infinities meet no infinity of the other sign. Dropped lanes are cleared, not multiplied: NaN goes, too. x == y is
 * allowed: every element is read before it is written.
 */

static const fn_map IN_C(same) = {.scale = 1.0, .shift = -0.0, .mode = FN_PLAIN};

/* Elements i to i + n as C: where they are, or in scratch. */
static const TYPE(C) * IN_C(dropout_load)(const fn_dropout *p, ptrdiff_t i, ptrdiff_t n, TYPE(C) * scratch)
{
    if (p->x_type == FN_F16)
        FN_NAME4(map, f16, C, C)((const fn_f16 *)p->x + i, scratch, n, &IN_C(same), NULL, 0, FN_NEAR, 0);
    else if (p->x_type == FN_BF16)
        FN_NAME4(map, bf16, C, C)((const fn_bf16 *)p->x + i, scratch, n, &IN_C(same), NULL, 0, FN_NEAR, 0);
    else if (p->x_type == FN_F32 && IS_F64(C))
        FN_NAME4(map, f32, C, C)((const fn_f32 *)p->x + i, scratch, n, &IN_C(same), NULL, 0, FN_NEAR, 0);
    else
        return (const TYPE(C) *)p->x + i;
    return scratch;
}

/* Round scratch to where they go. */
static void IN_C(dropout_store)(const fn_dropout *p, ptrdiff_t i, ptrdiff_t n, const TYPE(C) * scratch)
{
    if (p->y_type == FN_F16)
        FN_NAME4(map, C, f16, C)(scratch, (fn_f16 *)p->y + i, n, &IN_C(same), NULL, 0, FN_NEAR, p->stream);
    else if (p->y_type == FN_BF16)
        FN_NAME4(map, C, bf16, C)(scratch, (fn_bf16 *)p->y + i, n, &IN_C(same), NULL, 0, FN_NEAR, p->stream);
    else
        FN_NAME4(map, C, f32, C)(scratch, (fn_f32 *)p->y + i, n, &IN_C(same), NULL, 0, FN_NEAR, p->stream);
}

static inline VEC IN_C(dropped)(VEC x, uint64_t bits, VEC high, VEC low)
{
    return V(select)(bits, V(fma)(x, high, V(fma)(x, low, V(set1)((TYPE(C)) - 0.0))));
}

/* n <= FN_GROUP elements, with a bit for each. */
static inline void IN_C(drop)(const TYPE(C) * x, TYPE(C) * y, ptrdiff_t n, uint64_t bits, VEC high, VEC low, int stream)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES, bits >>= LANES) {
        vec_prefetch(x + i, FN_NEAR, LANES * sizeof *x);
        const VEC value = IN_C(dropped)(LOAD(C)(x + i), bits, high, low);
        if (vec_streams && stream) {
            STREAM(C)(y + i, value);
        } else {
            vec_prefetch(y + i, FN_NEAR_STORES, LANES * sizeof *y); /* a store waits for its line, too */
            STORE(C)(y + i, value);
        }
    }
    if (i < n)
        STORE_PART(C)(y + i, IN_C(dropped)(LOAD_PART(C)(x + i, n - i), bits, high, low), n - i);
}

static void IN_C(dropout)(const fn_dropout *p, ptrdiff_t first, ptrdiff_t last)
{
    const VEC high = V(set1)((TYPE(C))p->high), low = V(set1)((TYPE(C))p->low);
    const int y_is_c = p->y_type == (IS_F64(C) ? FN_F64 : FN_F32);
    /* The first block ends where y's lines start; streaming wants them whole. */
    const ptrdiff_t size = p->y_type == FN_F64 ? 8 : p->y_type == FN_F32 ? 4 : 2;
    const ptrdiff_t misaligned = (ptrdiff_t)((uintptr_t)(p->y + first * size) % (size_t)(LANES * size)) / size;
    ptrdiff_t room = vec_streams && p->stream && misaligned ? LANES - misaligned : FN_GROUP;
    TYPE(C) scratch[FN_GROUP];
    philox state;
    philox_start(&state, p->key, p->threshold, p->number + (uint64_t)first);
    for (ptrdiff_t i = first, n; i < last; i += n, room = FN_GROUP) {
        n = last - i < room ? last - i : room;
        const uint64_t bits = philox_take(&state, (int)n);
        const TYPE(C) *x = IN_C(dropout_load)(p, i, n, scratch);
        IN_C(drop)(x, y_is_c ? (TYPE(C) *)p->y + i : scratch, n, bits, high, low, p->stream && y_is_c);
        if (!y_is_c)
            IN_C(dropout_store)(p, i, n, scratch);
        if (p->mask)
            philox_store(p->mask + i, bits, (int)n);
    }
    if (p->stream)
        vec_fence();
}
