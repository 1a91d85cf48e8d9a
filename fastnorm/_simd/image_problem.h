/* What Cython and C agree on for images: pixels of channels, and a map for each channel.
 *
 * Both sides are x[images, rows, pixels, channels], whatever the order in memory: an image of planes is one whose
 * channels lie far apart. A span is at most FN_SPAN pixels of one row, and in planes ends where a cache line of y does:
 * a line that two spans write past the caches took 100 ns and more (Zen 5). Threads share spans, numbered row by row.
 * Included by problem.h.
 */
#ifndef FASTNORM_IMAGE_PROBLEM_H
#define FASTNORM_IMAGE_PROBLEM_H

enum { FN_SPAN = 512 }; /* its scratch stays in the first-level cache */

typedef struct {
    char *data;
    ptrdiff_t image, row, pixel, channel; /* strides in bytes */
    int size;                             /* of an element */
    int swapped;                          /* in the other byte order */
    int plain;                            /* aligned and not swapped */
} fn_pixels;

typedef struct {
    ptrdiff_t images, rows, pixels, channels; /* sizes */
    fn_pixels x, y;                           /* the same memory, element for element, or apart */
    const fn_map *maps;                       /* [channels], each FN_PLAIN: Python refuses others */
    int x_type, y_type;
    int stream; /* write past the caches; x and y are apart */
} fn_image;

/* Most channels whose maps are written out for a loop over interleaved elements. */
enum { FN_PATTERN = 256, FN_PATTERN_ROOM = FN_PATTERN + 16 };

/* The maps of interleaved channels, in the arithmetic type: of lane at + i in element at + i, for every at < period and
 * one vector of lanes. */
typedef struct {
    union {
        _Alignas(64) fn_f32 f32[FN_PATTERN_ROOM];
        fn_f64 f64[FN_PATTERN_ROOM];
    } mean, scale, shift;
    ptrdiff_t period; /* a multiple of the channels, at least one vector */
} fn_channel_maps;

/* Elements of a plane's line before those at y. */
static inline ptrdiff_t fn_span_lag(const fn_image *p, const char *y)
{
    return p->y.pixel == p->y.size ? (ptrdiff_t)((uintptr_t)y % FN_LINE) / p->y.size : 0;
}

/* The last of them may be empty. */
static inline ptrdiff_t fn_spans_of_row(const fn_image *p)
{
    const ptrdiff_t most_lag = p->y.pixel == p->y.size ? FN_LINE / p->y.size - 1 : 0;
    return (p->pixels + most_lag + FN_SPAN - 1) / FN_SPAN;
}

#endif
