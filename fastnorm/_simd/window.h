/* Local response norm in arithmetic type C: y = x / (k + scale * sum of squares in the window)^beta.
 *
 * A template, once for each C: roots and divisions take longer than the passes over the first-level cache that other
 * storage types need (storage.h). A row of squares is written as soon as its x is read, so that y may be x.
 */

/* Rows of squares, the lowest channel first: `count` at `at`, then the others at `wrapped`, `step` elements apart. */
typedef struct {
    const TYPE(C) * at, *wrapped;
    ptrdiff_t count, wrapped_count, step;
} IN_C(window);

/* base^beta for any beta. */
static __attribute__((noinline)) VEC IN_C(any_power)(VEC base, double beta)
{
    TYPE(C) lane[LANES];
    STORE(C)(lane, base);
    for (int i = 0; i < LANES; i += f64_lanes)
        WIDE(store)(lane + i, f64_pow(WIDE(load)(lane + i), beta));
    return LOAD(C)(lane);
}

static inline __attribute__((always_inline)) VEC IN_C(response)(const fn_window_problem *p, const IN_C(window) * window,
                                                                ptrdiff_t i, VEC x)
{
    VEC sum = LOAD(C)(window->at + i);
    for (ptrdiff_t j = 1; j < window->count; j++)
        sum = V(add)(sum, LOAD(C)(window->at + j * window->step + i));
    for (ptrdiff_t j = 0; j < window->wrapped_count; j++)
        sum = V(add)(sum, LOAD(C)(window->wrapped + j * window->step + i));
    VEC power = V(fma)(sum, V(set1)((TYPE(C))p->scale), V(set1)((TYPE(C))p->k));
    if (p->power == FN_ROOT) {
        power = V(sqrt)(power);
    } else if (p->power == FN_ROOT_AND_ITS_ROOT) {
        const VEC root = V(sqrt)(power);
        power = V(mul)(root, V(sqrt)(root));
    } else if (p->power == FN_POWER) {
        power = IN_C(any_power)(power, p->beta);
    }
    return V(div)(x, power);
}

/* A row in type C: where it lies, or in `room`. */
static const TYPE(C) * IN_C(as_row)(const fn_window_problem *p, const char *x, ptrdiff_t n, TYPE(C) * room)
{
    if (p->x_type == (IS_F64(C) ? FN_F64 : FN_F32))
        return (const TYPE(C) *)x;
    fn_read[p->x_type][IS_F64(C)](x, room, n);
    return room;
}

/* One row of n elements; what `window` holds beyond them is read, and changes nothing. The next of x and y are fetched
 * from so many bytes ahead here, where roots and divisions leave the memory idle. */
static void IN_C(respond)(const fn_window_problem *p, const IN_C(window) * window, const char *x, char *y, ptrdiff_t n,
                          ptrdiff_t x_ahead, ptrdiff_t y_ahead, TYPE(C) * room)
{
    const TYPE(C) *from = IN_C(as_row)(p, x, n, room);
    TYPE(C) *to = p->y_type == (IS_F64(C) ? FN_F64 : FN_F32) && !p->stream ? (TYPE(C) *)y : room + p->tile;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec_prefetch(x + i * p->x_inner, x_ahead, (size_t)(LANES * p->x_inner));
        vec_prefetch(y + i * p->y_inner, y_ahead, p->stream ? 0 : (size_t)(LANES * p->y_inner));
        STORE(C)(to + i, IN_C(response)(p, window, i, LOAD(C)(from + i)));
    }
    if (i < n)
        STORE_PART(C)(to + i, IN_C(response)(p, window, i, LOAD_PART(C)(from + i, n - i)), n - i);
    if ((char *)to != y)
        fn_write[p->y_type][IS_F64(C)](to, y, n, p->stream);
}

static void IN_C(square)(const fn_window_problem *p, const char *x, ptrdiff_t n, TYPE(C) * room, TYPE(C) * square)
{
    const TYPE(C) *from = IN_C(as_row)(p, x, n, room);
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const VEC value = LOAD(C)(from + i);
        STORE(C)(square + i, V(mul)(value, value));
    }
    if (i < n) {
        const VEC value = LOAD_PART(C)(from + i, n - i);
        STORE_PART(C)(square + i, V(mul)(value, value), n - i);
    }
}

/* n positions side by side, channel after channel: the squares of as many channels as a window has, in a ring. Where x
 * is not in the cache, fetching the next channel's row takes off a quarter of the time. */
static void IN_C(window_across)(const fn_window_problem *p, const char *x, char *y, ptrdiff_t n, TYPE(C) * scratch)
{
    const ptrdiff_t rows = p->before + p->after + 1;
    TYPE(C) *ring = scratch + 2 * p->tile;
    ptrdiff_t squared = 0;
    for (ptrdiff_t c = 0; c < p->channels; c++) {
        const ptrdiff_t low = c > p->before ? c - p->before : 0;
        const ptrdiff_t end = c + p->after < p->channels ? c + p->after + 1 : p->channels;
        for (; squared < end; squared++)
            IN_C(square)(p, x + squared * p->x_channel, n, scratch, ring + squared % rows * p->tile);
        const ptrdiff_t first = low % rows, unwrapped = rows - first;
        const IN_C(window) window = {.at = ring + first * p->tile,
                                     .wrapped = ring,
                                     .count = end - low < unwrapped ? end - low : unwrapped,
                                     .wrapped_count = end - low < unwrapped ? 0 : end - low - unwrapped,
                                     .step = p->tile};
        IN_C(respond)(p, &window, x + c * p->x_channel, y + c * p->y_channel, n, (p->after + 1) * p->x_channel,
                      p->y_channel, scratch);
    }
}

/* The channels of one position, `tile` at a time between the squares of their neighbours, zeros beyond both ends. */
static void IN_C(window_along)(const fn_window_problem *p, const char *x, char *y, TYPE(C) * scratch)
{
    const ptrdiff_t reach = p->before + p->after;
    TYPE(C) *squares = scratch + 2 * p->tile;
    const IN_C(window) window = {.at = squares, .wrapped = squares, .count = reach + 1, .step = 1};
    memset(squares, 0, (size_t)p->before * sizeof *squares);
    for (ptrdiff_t c = 0, squared = 0; c < p->channels; c += p->tile) {
        const ptrdiff_t n = p->channels - c < p->tile ? p->channels - c : p->tile;
        const ptrdiff_t wanted = c + n + p->after, end = wanted < p->channels ? wanted : p->channels;
        for (ptrdiff_t m; squared < end; squared += m) {
            m = end - squared < p->tile ? end - squared : p->tile;
            IN_C(square)(p, x + squared * p->x_channel, m, scratch, squares + (squared - c + p->before));
        }
        memset(squares + (end - c + p->before), 0, (size_t)(wanted - end) * sizeof *squares);
        IN_C(respond)(p, &window, x + c * p->x_channel, y + c * p->y_channel, n, 1024, 1024, scratch);
        memmove(squares, squares + n, (size_t)reach * sizeof *squares);
    }
}

/* Units first <= u < last: tiles of positions side by side, or single positions. */
static void IN_C(window_units)(const fn_window_problem *p, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t tiles = fn_window_tiles(p), x_size = p->x_inner, y_size = p->y_inner;
    for (ptrdiff_t u = first; u < last; u++) {
        const ptrdiff_t outer = u / tiles, start = u % tiles * p->tile;
        const char *x = p->x + outer * p->x_outer + start * x_size;
        char *y = p->y + outer * p->y_outer + start * y_size;
        if (p->inner > 1)
            IN_C(window_across)(p, x, y, p->inner - start < p->tile ? p->inner - start : p->tile, scratch);
        else
            IN_C(window_along)(p, x, y, scratch);
    }
    if (p->stream)
        vec_fence();
}
