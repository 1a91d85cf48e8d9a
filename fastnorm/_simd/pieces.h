/* How one statistic's data is cut: into leaves, and into pieces that threads can share.
 *
 * The data is stretches of segments * run contiguous elements, one for each outer position; or a single one, where
 * these lie side by side. A piece is FN_CHUNK elements of a long stretch, or as many short stretches as come to about
 * that. The cut depends on the statistic's own sizes only, because the merge follows it and decides bits.
 */
#ifndef FASTNORM_PIECES_H
#define FASTNORM_PIECES_H

#include "problem.h"

typedef struct {
    ptrdiff_t stretch, stretches; /* the first, and how many */
    ptrdiff_t start, length;      /* the part of each: all of it where there are several */
} fn_piece;

static inline ptrdiff_t fn_least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Elements of y before its first whole vector in an aligned place. */
static inline ptrdiff_t fn_lead(const void *y, ptrdiff_t lanes, ptrdiff_t size)
{
    return (ptrdiff_t)(-(uintptr_t)y % (uintptr_t)(lanes * size)) / size;
}

/* How far ahead x is fetched while stretches of so many bytes are mapped, beside parameters as long or not. */
static inline ptrdiff_t fn_ahead(const fn_problem *p, ptrdiff_t bytes, int beside_elements)
{
    if (p->stream == FN_CLOSE)
        return 0;
    if (p->statistic == FN_GIVEN)
        return FN_AHEAD_OF_GIVEN;
    if (p->stream == FN_CACHED)
        return p->x_type >= FN_F16 && bytes <= FN_AHEAD ? bytes : FN_NEAR;
    return bytes <= (beside_elements ? FN_AHEAD : FN_FAR_AHEAD) ? bytes : FN_NEAR;
}

/* The same where whole rows are summed: so many that they come to what is near, or those that are summed next. */
static inline ptrdiff_t fn_rows_ahead(ptrdiff_t stride)
{
    const ptrdiff_t step = stride < 0 ? -stride : stride;
    return stride * (step == 0 || step >= FN_NEAR / FN_ROW_GROUP ? FN_ROW_GROUP : FN_NEAR / step);
}

/* Whether the next tile is fetched while this one, rows of so many bytes, is mapped, and both stay in the second-level
 * cache: its sums find it there. Of the time, axis=1 past the caches: tiles of 192 KB to 1 MB 0.82 to 0.95, of more 1.0
 * to 1.1. */
static inline int fn_fetches_tile(const fn_problem *p, ptrdiff_t row, ptrdiff_t last)
{
    return p->statistic != FN_GIVEN && last < p->keep && p->outer * row <= FN_TILE_AHEAD;
}

/* Outer positions that lie side by side are one stretch. */
static inline ptrdiff_t fn_stretch(const fn_problem *p) { return p->side * p->segments * p->run; }

static inline ptrdiff_t fn_stretches(const fn_problem *p) { return p->outer / p->side; }

/* How many statistics of short stretches are taken together. */
static inline ptrdiff_t fn_stretch_group(const fn_problem *p)
{
    const ptrdiff_t length = p->segments * p->run;
    if (p->outer == 1 || length > FN_GROUP_STRETCH)
        return 0;
    return fn_least(FN_GROUP_STRETCHES / (p->outer * length), FN_GROUP_ROWS);
}

/* How many stretches of this length one leaf sums. */
static inline ptrdiff_t fn_leaf_stretches(ptrdiff_t length) { return length < FN_LEAF ? FN_LEAF / length : 1; }

static inline ptrdiff_t fn_piece_stretches(ptrdiff_t length)
{
    ptrdiff_t leaf = fn_leaf_stretches(length);
    return length < FN_CHUNK ? FN_CHUNK / (leaf * length) * leaf : 1;
}

static inline ptrdiff_t fn_pieces_of_stretch(ptrdiff_t length) { return (length + FN_CHUNK - 1) / FN_CHUNK; }

static inline ptrdiff_t fn_count_pieces(const fn_problem *p)
{
    ptrdiff_t length = fn_stretch(p), stretches = fn_piece_stretches(length);
    return (fn_stretches(p) + stretches - 1) / stretches * fn_pieces_of_stretch(length);
}

static inline fn_piece fn_get_piece(const fn_problem *p, ptrdiff_t index)
{
    ptrdiff_t length = fn_stretch(p), stretches = fn_piece_stretches(length);
    ptrdiff_t parts = fn_pieces_of_stretch(length), start = index % parts * FN_CHUNK;
    fn_piece piece = {.stretch = index / parts * stretches, .start = start};
    const ptrdiff_t left = fn_stretches(p) - piece.stretch;
    piece.stretches = left < stretches ? left : stretches;
    piece.length = length - start < FN_CHUNK ? length - start : FN_CHUNK;
    return piece;
}

/* What to map with piece `index` of the sums: weight and bias may differ between outer positions that are one stretch.
 */
static inline fn_piece fn_get_apply_piece(const fn_problem *p, ptrdiff_t index)
{
    if (p->side == 1)
        return fn_get_piece(p, index);
    const ptrdiff_t pieces = fn_count_pieces(p), each = p->outer / pieces, more = p->outer % pieces;
    return (fn_piece){.stretch = index * each + (index < more ? index : more),
                      .stretches = each + (index < more),
                      .length = p->segments * p->run};
}

/* Statistics side by side: rows of side * keep * segments * run elements, and outer positions left over, which are rows
 * without the side. A part is FN_ROW_CHUNK rows; the last one is what is left over. */
static inline ptrdiff_t fn_rows(const fn_problem *p) { return p->outer / p->side; }

/* The outer position that row r starts at. */
static inline ptrdiff_t fn_row_position(const fn_problem *p, ptrdiff_t r)
{
    return r < fn_rows(p) ? r * p->side : fn_rows(p) * (p->side - 1) + r;
}

static inline ptrdiff_t fn_columns(const fn_problem *p, ptrdiff_t first, ptrdiff_t last)
{
    return p->side * (last - first) * p->segments * p->run;
}

static inline ptrdiff_t fn_row_parts(const fn_problem *p) { return (fn_rows(p) + FN_ROW_CHUNK - 1) / FN_ROW_CHUNK; }

static inline ptrdiff_t fn_column_parts(const fn_problem *p) { return fn_row_parts(p) + (p->outer % p->side != 0); }

#endif
