/* What Cython and C agree on for local response norm: x[outer, channels, inner], a window of neighbouring channels.
 *
 * Vectors run along inner where its elements are contiguous (channels-first), else inner is 1 and they run along the
 * contiguous channels (channels-last). Either way the squares of the channels in reach are kept in scratch, and each
 * window is summed anew, the lowest channel first: so memory order, tiles and threads change no bit.
 */
#ifndef FASTNORM_WINDOW_PROBLEM_H
#define FASTNORM_WINDOW_PROBLEM_H

#include <stddef.h>

enum { FN_POWER, FN_ROOT, FN_ROOT_AND_ITS_ROOT, FN_IDENTITY }; /* how base^beta is had: beta 1/2, 3/4, 1 */

enum { FN_WINDOW_BLOCK = 16 }; /* tiles are multiples of it: a whole number of vectors of either type */

typedef struct {
    ptrdiff_t outer, channels, inner;                                   /* sizes */
    char *x, *y;                                                        /* the same memory, or apart */
    ptrdiff_t x_outer, x_channel, x_inner, y_outer, y_channel, y_inner; /* strides in bytes */
    ptrdiff_t before, after; /* neighbours in the window on either side, below channels */
    ptrdiff_t tile;          /* elements along the contiguous direction at a time, a multiple of FN_WINDOW_BLOCK */
    double scale, k, beta;   /* base = k + scale * sum of squares */
    int power;
    int stream; /* write past the caches */
    int x_type, y_type;
} fn_window_problem;

/* Rows of `tile` squares in reach of one row; where vectors run along channels, one row with the neighbours of both
 * ends. Then a row each for x and y in the arithmetic type. */
static inline ptrdiff_t fn_window_scratch(const fn_window_problem *p)
{
    ptrdiff_t reach = p->before + p->after;
    ptrdiff_t squares = p->inner > 1 ? (reach + 1) * p->tile : p->tile + reach;
    return squares + 2 * p->tile;
}

static inline ptrdiff_t fn_window_tiles(const fn_window_problem *p) { return (p->inner + p->tile - 1) / p->tile; }

#endif
