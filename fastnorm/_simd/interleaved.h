/* Pixels whose channels lie side by side in x and in y: the map of each lane repeats with the pixels.
 *
 * A template, after map.h. The repeating maps are written out until they repeat with the vectors, too, where that is
 * short; else up to one vector beyond the last channel, so that any channel can be the first lane's.
 */
static inline VEC IN_XY(map_lanes)(VEC value, const fn_channel_maps *maps, ptrdiff_t at)
{
    return V(fma)(V(sub)(value, LOAD(C)(maps->mean.C + at)), LOAD(C)(maps->scale.C + at), LOAD(C)(maps->shift.C + at));
}

static inline __attribute__((always_inline)) void IN_XY(interleaved_as)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n,
                                                                        const fn_channel_maps *maps, const int stream)
{
    ptrdiff_t i = 0, at = 0;
    if (stream) {
        i = fn_least(fn_lead(y, LANES, sizeof *y), n);
        if (i > 0)
            STORE_PART(Y)(y, IN_XY(map_lanes)(LOAD_PART(X)(x, i), maps, 0), i);
        at = i % maps->period;
    }
    for (; i + LANES <= n; i += LANES) {
        VEC value = IN_XY(map_lanes)(LOAD(X)(x + i), maps, at);
        if (stream) {
            STREAM(Y)(y + i, value);
        } else {
            vec_prefetch(y + i, FN_NEAR_STORES, LANES * sizeof *y);
            STORE(Y)(y + i, value);
        }
        at += LANES;
        at -= at >= maps->period ? maps->period : 0;
    }
    if (i < n)
        STORE_PART(Y)(y + i, IN_XY(map_lanes)(LOAD_PART(X)(x + i, n - i), maps, at), n - i);
}

/* n elements, the first of channel 0. */
static void IN_XY(interleaved)(const fn_u8 *x, void *y, ptrdiff_t n, const fn_channel_maps *maps, int stream)
{
    if (vec_streams && stream)
        IN_XY(interleaved_as)(x, y, n, maps, 1);
    else
        IN_XY(interleaved_as)(x, y, n, maps, 0);
}
