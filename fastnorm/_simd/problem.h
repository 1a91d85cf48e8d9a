/* What Cython and C agree on: element types, the canonical problem, moments, and the table of kernels.
 *
 * Every statistical norm is x[batch, outer, keep, segments, run] with one statistic for each (batch, keep), taken over
 * (outer, segments, run); weight and bias are constant along run. Cython fills fn_problem, a tier's kernels read it.
 * Nothing here allocates, knows Python, or starts a thread.
 */
#ifndef FASTNORM_PROBLEM_H
#define FASTNORM_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "dropout_problem.h"
#include "window_problem.h"

/* Not repeated in every caller: the templates multiply what a function holds, and a call costs nothing beside it. */
#define FN_APART __attribute__((noinline))
/* Unusual data only: small rather than fast, too. */
#define FN_COLD __attribute__((noinline, cold))

typedef float fn_f32;
typedef double fn_f64;
typedef uint16_t fn_f16; /* IEEE half; unsigned, so that a fused Cython type tells it from bfloat16 */
typedef int16_t fn_bf16;

typedef uint8_t fn_u8; /* images only */

enum { FN_F32, FN_F64, FN_F16, FN_BF16, FN_TYPES, FN_U8 = FN_TYPES };

/* These sizes decide bits: they depend on nothing but what one statistic is taken over. */
enum {
    FN_PILOT = 64,        /* elements that choose a leaf's shift */
    FN_LEAF = 1024,       /* elements summed in the arithmetic type before one float64 epilogue */
    FN_CHUNK = 64 * 1024, /* elements merged on their own, so that threads can share one long statistic */

    FN_ROW_PILOT = 16, /* the same three where statistics lie side by side: rows instead of elements */
    FN_ROW_LEAF = 128,
    FN_ROW_CHUNK = 2048,
    FN_ROW_GROUP = 8, /* rows summed as a tree */

    FN_ROW_STRETCH = 32, /* shorter stretches fill a vector badly: they are summed side by side with their neighbours */
    FN_ROW_OUTER = 192,  /* so are those of so many outer positions, each in a page of its own, */
    FN_WIDE_STRETCH = 512, /* up to this length: at most a tile */
    FN_ROW_SIDE = 64,      /* columns that a row is widened to */
    FN_SEGMENT = 16,       /* shorter segments get a weight and a bias for each element instead of a map for each */
};

/* Columns in one tile: their sums stay in the first-level cache, their doubles on a thread's stack. */
enum { FN_TILE = 512, FN_TILE_ROOM = FN_TILE + 16 };

/* Statistics of short rows taken together, and at most so many elements: they stay in the first-level cache. And leaves
 * of long ones. These change no bit. */
enum { FN_GROUP_ROWS = 16, FN_GROUP_ELEMENTS = 4096, FN_GROUP_LEAVES = 4 };

/* Moments that are known before the first of them is mapped: else a map waits for a division and a root, and the next
 * sums for the map. Of the time, where all is close: small group norms 0.78 to 0.97, rows of 1025 to 2048 0.91 to 1.0;
 * elsewhere 0.9 to 1.25. */
enum { FN_READY = 4 };

/* Statistics of several stretches taken together, where these are no longer than that: each is mapped with its
 * neighbours, from the second-level cache, because it lies in a page with them. Of the time, batch norm in training,
 * one thread: 7x7 0.62 to 0.7, 14x14 0.83; 28x28 0.9 to 1.1. */
enum { FN_GROUP_STRETCH = 256, FN_GROUP_STRETCHES = 128 * 1024 };

enum { FN_LINE = 64, FN_PAGE = 4096 }; /* bytes of a cache line, and of a page */

/* Where rows are joined, the numbers that map their columns lie so many bytes ahead of y in their pages: a load waits
 * for what was just written to the same place of another page (some channels took 1.7 times as long). */
enum { FN_LEAD = 256 };

/* Bytes that x is fetched ahead: nothing where it is close; what is near; the row to come, up to what the first-level
 * cache holds beside this one, of 16-bit types and where x comes from memory, there up to what the second-level cache
 * holds unless parameters are there, too; or this one, where nothing was summed of it. Of the time, through the caches:
 * 16-bit rows from the last level 0.83 to 0.93, float32 from memory 0.86 to 0.96; from the second level 1.1. Past the
 * caches: planes of 64 to 256 KB 0.78 to 0.91; rows of as much with weight and bias 1.0 to 1.1. */
enum { FN_AHEAD = 32 * 1024, FN_FAR_AHEAD = 256 * 1024, FN_TILE_AHEAD = 512 * 1024, FN_AHEAD_OF_GIVEN = 2048 };

/* The hardware's own prefetcher starts anew at every row and page, and knows nothing of stores. 16384 rows of 2048
 * float32 took 29 ms without, 17 with 1 KB ahead (20 for memcpy). Of the time with 1 KB: from memory 0.75 to 1.0, from
 * the last-level cache 0.7 to 1.05; twice as far 0.95 to 1.1. Stretches that are summed side by side are shorter. */
enum { FN_NEAR = 8192, FN_NEAR_STORES = 4096, FN_NEAR_BESIDE = 1024 };

/* count, mean (an unevaluated sum hi + lo) and sum of squared deviations. Other sums (FN_SUM_SQUARES ...) are in m2,
 * with a mean of 0: the same merge adds them up. FN_RANGE: mean is the smallest, m2 the largest value. FN_LARGEST and
 * FN_SMALLEST: m2 is that magnitude, mean is 0 or, where some value is not finite, NaN. */
typedef struct {
    double count, mean, mean_lo, m2;
} fn_moments;

/* What a survey of unusual data finds: the largest finite magnitude, and which non-finite values occur. */
typedef struct {
    double largest;
    int nan, plus_inf, minus_inf;
} fn_range;

enum { FN_PLAIN, FN_SCALED, FN_ALL_NAN, FN_ZEROED };

/* How to map one statistic's elements: y = (x * 2^-exponent - mean) * rstd - mean_lo * rstd, then weight and bias; of
 * the scaled data, exact, in float64. FN_ALL_NAN: every result is NaN. FN_ZEROED (RMS norm of infinite data): finite
 * values become 0, infinite ones NaN. */
typedef struct {
    double mean, mean_lo, rstd;
    double reported_mean, reported_rstd, reported_m2; /* of the unscaled data, for the caller; a norm as m2 */
    double span, upper;                               /* FN_EXTREMES: what becomes the largest result, and that */
    int mode, exponent;
} fn_statistic;

/* The same with a weight and a bias that do not vary: y = (x * 2^-exponent - mean) * scale + shift, at most upper. The
 * numbers are values of the arithmetic type, held in doubles. */
typedef struct {
    double mean, scale, shift, upper;
    int mode, exponent;
} fn_map;

/* fn_map for statistics side by side, in the arithmetic type; the first come once more behind the last. */
typedef struct {
    union {
        fn_f32 f32[FN_TILE_ROOM]; /* read a vector at a time */
        fn_f64 f64[FN_TILE_ROOM];
    } mean, scale, shift;
    int unusual; /* how many columns are not FN_PLAIN: these */
    int16_t column[FN_TILE], exponent[FN_TILE];
    int8_t mode[FN_TILE];
    double upper; /* of all */
} fn_column_map;

/* How weight and bias meet a stretch or a row of data: one value of each, one for each segment, or one for each
 * element; or in the map of each column already. */
enum { FN_ONE, FN_SEGMENTS, FN_ELEMENTS, FN_IN_MAP };

typedef struct {
    char *data;                                  /* NULL: an absent parameter */
    ptrdiff_t batch, outer, keep, segments, run; /* strides in bytes; a parameter's run stride is unused */
} fn_operand;

/* How y is written: through the caches, in the second level with x; through all of them; through them, though it is
 * more than they hold; past them, x and y being different memory, but only where what is written in one go, shorter
 * than that pays for, follows on what was before; or always past them. */
enum { FN_CLOSE, FN_CACHED, FN_FAR, FN_PAST_JOINED, FN_PAST };

/* FN_CENTERED: layer norm. FN_UNCENTERED: variance about the mean, x not centred. FN_SQUARES: RMS norm.
 * FN_STANDARDIZED: z-score, where data that is constant within rounding becomes 0. FN_GIVEN: nothing is summed, mean
 * and rstd come in. FN_NORM_*: x / max(norm, eps); of p = 1, 2, inf and -inf. FN_NORM_POWER: of any other p, and no
 * more than the statistics: level comes in as the mean, a magnitude near which all powers are taken. FN_EXTREMES: (x -
 * min) / (max - min), where NaN is not seen. */
enum {
    FN_CENTERED,
    FN_UNCENTERED,
    FN_SQUARES,
    FN_STANDARDIZED,
    FN_GIVEN,
    FN_NORM_1,
    FN_NORM_2,
    FN_NORM_LARGEST,
    FN_NORM_SMALLEST,
    FN_NORM_POWER,
    FN_EXTREMES
};

/* What one pass over the data finds for them. */
enum { FN_MOMENTS, FN_SUM_SQUARES, FN_SUM_MAGNITUDES, FN_LARGEST, FN_SMALLEST, FN_RANGE, FN_SUM_POWERS };

typedef struct {
    ptrdiff_t batch, outer, keep, segments, run; /* sizes */
    fn_operand x, y, weight, bias;               /* weight and bias in the arithmetic type */
    double *mean, *rstd, *m2;                    /* [batch * keep] each, or NULL; FN_GIVEN: mean and rstd come in */
    double eps;
    double inverse_n, inverse_elements; /* 1 / (elements of a statistic - ddof), and without ddof */
    double power;                       /* FN_NORM_POWER: p */
    double upper;                       /* FN_EXTREMES: the largest result */
    int statistic;
    ptrdiff_t side; /* outer positions that lie side by side: in one row of columns; in rows all of them, or 1 */
    int stream;     /* FN_CLOSE ... */
    int x_type, y_type;
} fn_problem;

/* What one pass finds, in data * 2^-exponent; FN_SUM_POWERS: the sum of (|x| / level)^power. */
typedef struct {
    int sums, exponent;
    double power, level;
    ptrdiff_t ahead; /* bytes that x is fetched ahead */
} fn_reading;

enum { FN_LINEAR, FN_RELU, FN_SIGMOID, FN_TANH };

#include "image_problem.h"

typedef struct {
    int fma; /* 0: multiply-add rounds twice, so bits differ from the other tiers */
    /* Statistics first <= s < last, s = batch index * keep + keep index, from x to y (y.data NULL: no more than the
     * statistics). x == y is allowed; any other overlap is not. segments * run elements are contiguous in x, y, and,
     * where run is 1, in a weight or bias that varies along segments. */
    void (*rows[FN_TYPES][FN_TYPES])(const fn_problem *p, ptrdiff_t first, ptrdiff_t last);
    /* The steps of rows on one piece of statistic s (pieces.h), for statistics that threads share.
     * [x type][1 where the arithmetic is float64] */
    void (*piece_moments[FN_TYPES][2])(const fn_problem *p, ptrdiff_t s, ptrdiff_t index, int exponent,
                                       fn_moments *out);
    void (*piece_survey[FN_TYPES])(const fn_problem *p, ptrdiff_t s, ptrdiff_t index, fn_range *out);
    void (*piece_apply[FN_TYPES][FN_TYPES])(const fn_problem *p, ptrdiff_t s, ptrdiff_t index,
                                            const fn_statistic *statistic);
    /* Statistics that lie side by side: keep indices first <= k < last of one batch index, walking down outer. keep *
     * segments * run elements are contiguous in x and y, and side times as many where side > 1 (then first is 0, last
     * is keep). At most FN_TILE columns. */
    void (*columns[FN_TYPES][FN_TYPES])(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last);
    /* Its steps, for statistics that threads share: moments of part `index` (of fn_column_parts), in 3 * fn_columns
     * doubles; the map, from those merged by fn_merge_part, and of the positions left over (or NULL); then rows from <=
     * r < to. */
    void (*column_moments[FN_TYPES][2])(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                                        ptrdiff_t index, double *out);
    void (*column_finish[FN_TYPES][2])(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                                       const double *moments, const double *rest, fn_column_map *out);
    void (*column_apply[FN_TYPES][FN_TYPES])(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                                             ptrdiff_t from, ptrdiff_t to, const fn_column_map *map);
    /* Sums of (|x| / level)^power become what level is multiplied by to give the norm: 1 where it is 0 or not finite.
     */
    void (*power_roots)(ptrdiff_t n, const double *level, double power, double *sums);
    /* n means and 1 / sqrt(variance + eps), from float32 or float64. No array overlaps another, but mean and variance.
     */
    void (*running)(ptrdiff_t n, const void *mean, int mean_type, const void *variance, int variance_type, double eps,
                    double *to_mean, double *to_rstd);
    /* Elements first <= i < last. [1 where the arithmetic is float64] */
    void (*dropout[2])(const fn_dropout *p, ptrdiff_t first, ptrdiff_t last);
    /* Local response norm of units first <= u < last, with fn_window_scratch elements of the arithmetic type.
     * [1 where the arithmetic is float64] */
    void (*window[2])(const fn_window_problem *p, ptrdiff_t first, ptrdiff_t last, void *scratch);
    /* n elements of the arithmetic type where they lie, and from there to y unless y is row. */
    void (*activate[2])(int activation, void *row, void *y, ptrdiff_t n, int y_type);
    /* Spans first <= index < last of an image (image_problem.h). */
    void (*image)(const fn_image *p, ptrdiff_t first, ptrdiff_t last);
} fn_kernels;

#endif
