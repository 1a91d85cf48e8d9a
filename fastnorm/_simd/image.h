/* Images: (x - mean) * scale + shift with a map for each channel, between pixels and planes or pixels and pixels.
 *
 * Span by span. Where a channel's elements do not lie side by side, they are first brought side by side in scratch,
 * which costs little beside the wider result: 16 pixels of bytes at a time, or one element after the other. Then one
 * loop over a channel serves all layouts and types. Only bytes that stay interleaved have a loop of their own.
 */

/* What a channel may take in scratch, and how many of them pixels of bytes are split into. */
enum { FN_SCRATCH = FN_SPAN * 8, FN_SPLIT = 4, FN_SPLIT_GAP = FN_SPAN + 16 };

static __attribute__((noinline)) void image_copy(const char *from, ptrdiff_t from_step, ptrdiff_t n, int size, char *to,
                                                 ptrdiff_t to_step)
{
    if (size == 1)
        for (; n > 0; n--, from += from_step, to += to_step)
            *to = *from;
    else if (size == 2)
        for (; n > 0; n--, from += from_step, to += to_step)
            memcpy(to, from, 2);
    else if (size == 4)
        for (; n > 0; n--, from += from_step, to += to_step)
            memcpy(to, from, 4);
    else
        for (; n > 0; n--, from += from_step, to += to_step)
            memcpy(to, from, 8);
}

/* To the other byte order. */
FN_COLD static void image_swap(char *elements, ptrdiff_t n, int size)
{
    for (ptrdiff_t i = 0; i < n; i++, elements += size)
        for (int low = 0, high = size - 1; low < high; low++, high--) {
            char byte = elements[low];
            elements[low] = elements[high];
            elements[high] = byte;
        }
}

/* Whether x is bytes in pixels of 3 or 4, its channels side by side in either order, some perhaps left out. */
static inline int image_can_split(const fn_image *p)
{
    return p->x_type == FN_U8 && (p->x.pixel == 3 || p->x.pixel == 4) && p->channels <= p->x.pixel &&
           (p->channels == 1 || p->x.channel == 1 || p->x.channel == -1);
}

/* Its n pixels as planes, the lowest address first. Nothing is read past the last pixel's last channel. */
static __attribute__((noinline)) void image_split(const fn_u8 *x, ptrdiff_t pixel, ptrdiff_t channels, ptrdiff_t n,
                                                  fn_u8 *planes)
{
    ptrdiff_t i = 0, whole = pixel == channels ? n : n - 1;
    if (pixel == 3)
        for (; i + 16 <= whole; i += 16)
            bytes_split3(x + 3 * i, planes + i, FN_SPLIT_GAP);
    else
        for (; i + 16 <= whole; i += 16)
            bytes_split4(x + 4 * i, planes + i, FN_SPLIT_GAP);
    if (i < n) {
        fn_u8 rest[16 * FN_SPLIT] = {0};
        memcpy(rest, x + pixel * i, (size_t)(pixel * (n - i - 1) + channels));
        if (pixel == 3)
            bytes_split3(rest, planes + i, FN_SPLIT_GAP);
        else
            bytes_split4(rest, planes + i, FN_SPLIT_GAP);
    }
}

static void (*const image_maps[FN_TYPES + 1][FN_TYPES])(const void *, void *, ptrdiff_t, const fn_map *, int) = {
    [FN_F32] = FN_ROW_OF(map_any, f32),
    [FN_F16] = FN_ROW_OF(map_any, f16),
    [FN_BF16] = FN_ROW_OF(map_any, bf16),
    [FN_F64] = {map_any_f64_f32_f64, map_any_f64_f64_f64, map_any_f64_f16_f64, map_any_f64_bf16_f64},
    [FN_U8] = FN_ROW_OF(map_any, u8),
};

/* Channel by channel, each through scratch where x or y do not hold it side by side. */
static void image_planes(const fn_image *p, const char *x, char *y, ptrdiff_t n)
{
    _Alignas(64) char gathered[FN_SCRATCH], results[FN_SCRATCH];
    const int split = image_can_split(p), in_y = p->y.pixel == p->y.size && p->y.plain;
    const ptrdiff_t lowest = p->x.channel < 0 ? (p->channels - 1) * p->x.channel : 0;
    if (split)
        image_split((const fn_u8 *)x + lowest, p->x.pixel, p->channels, n, (fn_u8 *)gathered);
    for (ptrdiff_t c = 0; c < p->channels; c++) {
        const char *from = x + c * p->x.channel;
        char *to = y + c * p->y.channel;
        if (split) {
            from = gathered + (c * p->x.channel - lowest) * FN_SPLIT_GAP;
        } else if (p->x.pixel != p->x.size || !p->x.plain) {
            image_copy(from, p->x.pixel, n, p->x.size, gathered, p->x.size);
            from = gathered;
            if (p->x.swapped)
                image_swap(gathered, n, p->x.size);
        }
        image_maps[p->x_type][p->y_type](from, in_y ? to : results, n, &p->maps[c], in_y && p->stream);
        if (!in_y) {
            if (p->y.swapped)
                image_swap(results, n, p->y.size);
            image_copy(results, p->y.size, n, p->y.size, to, p->y.pixel);
        }
    }
}

static void (*const image_interleaved[FN_TYPES])(const fn_u8 *, void *, ptrdiff_t, const fn_channel_maps *,
                                                 int) = FN_ROW_OF(interleaved, u8);

/* How the bytes of x come to lie as y's elements do. */
typedef struct {
    fn_channel_maps maps;
    fn_u8 index[16]; /* of one vector of whole pixels */
    ptrdiff_t together;
} image_pattern;

/* Whether y's channels lie side by side in pixels, and x's bytes do, or a shuffle brings them there. */
static int image_find_pattern(const fn_image *p, image_pattern *pattern)
{
    const ptrdiff_t channels = p->channels, pixel = p->x.pixel, step = p->x.channel;
    const int dense = pixel == channels && (channels == 1 || step == 1);
    const int shuffled = image_can_split(p) && channels > 1;
    if (p->x_type != FN_U8 || !p->y.plain || p->y.pixel != channels * p->y.size || p->y.channel != p->y.size ||
        channels < 2 || channels > FN_PATTERN || !(dense || shuffled))
        return 0;
    fn_channel_maps *maps = &pattern->maps;
    maps->period = channels <= 16 ? 16 * channels : channels;
    for (ptrdiff_t i = 0; i < maps->period + 16; i++) {
        const fn_map *map = &p->maps[i % channels];
        if (p->y_type == FN_F64) {
            maps->mean.f64[i] = map->mean;
            maps->scale.f64[i] = map->scale;
            maps->shift.f64[i] = map->shift;
        } else {
            maps->mean.f32[i] = (fn_f32)map->mean;
            maps->scale.f32[i] = (fn_f32)map->scale;
            maps->shift.f32[i] = (fn_f32)map->shift;
        }
    }
    pattern->together = dense ? 0 : 16 / pixel;
    for (ptrdiff_t i = 0; i < 16 && !dense; i++)
        pattern->index[i] =
            (fn_u8)(i / channels % pattern->together * pixel + (step < 0 ? channels - 1 - i % channels : i % channels));
    return 1;
}

/* n pixels of x, the lowest address first, without gaps and in order of channels. Nothing is read past the last one. */
static void image_pack(const fn_u8 *x, ptrdiff_t pixel, ptrdiff_t channels, ptrdiff_t n, const image_pattern *pattern,
                       fn_u8 *to)
{
    ptrdiff_t i = 0;
    for (; (n - i - 1) * pixel + channels >= 16; i += pattern->together)
        bytes_shuffle(to + i * channels, x + i * pixel, pattern->index);
    for (; i < n; i++)
        for (ptrdiff_t c = 0; c < channels; c++)
            to[i * channels + c] = x[i * pixel + pattern->index[c]];
}

static void image_spans(const fn_image *p, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t spans = fn_spans_of_row(p);
    image_pattern pattern;
    const int interleaved = image_find_pattern(p, &pattern);
    fn_u8 packed[FN_SPLIT * FN_SPLIT_GAP];
    for (ptrdiff_t index = first; index < last; index++) {
        const ptrdiff_t row = index / spans, image = row / p->rows, row_of_image = row % p->rows;
        char *y = p->y.data + image * p->y.image + row_of_image * p->y.row;
        const ptrdiff_t end = (index % spans + 1) * FN_SPAN - fn_span_lag(p, y);
        const ptrdiff_t start = index % spans ? end - FN_SPAN : 0, n = fn_least(end, p->pixels) - start;
        if (n <= 0)
            continue;
        const char *x = p->x.data + image * p->x.image + row_of_image * p->x.row + start * p->x.pixel;
        y += start * p->y.pixel;
        if (!interleaved) {
            image_planes(p, x, y, n);
            continue;
        }
        const fn_u8 *bytes = (const fn_u8 *)x;
        if (pattern.together) {
            image_pack(bytes + (p->x.channel < 0 ? (p->channels - 1) * p->x.channel : 0), p->x.pixel, p->channels, n,
                       &pattern, packed);
            bytes = packed;
        }
        image_interleaved[p->y_type](bytes, y, n * p->channels, &pattern.maps, p->stream);
    }
    if (p->stream)
        vec_fence();
}
