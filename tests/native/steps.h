/* What rows.pyx and columns.pyx do with the kernels, in C: the same tasks, for whoever includes this to run.
 *
 * The including file defines
 *
 *     static void run(void (*task)(void *context, ptrdiff_t index), void *context, ptrdiff_t tasks);
 */
#ifndef FASTNORM_STEPS_H
#define FASTNORM_STEPS_H

#include <stdlib.h>

#include "statistic.h"

static int arithmetic_is_f64(const fn_problem *p) { return p->x_type == FN_F64 || p->y_type == FN_F64; }

static void *must_malloc(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory)
        abort();
    return memory;
}

/* Rows: tasks of whole statistics. */
typedef struct {
    const fn_kernels *kernels;
    const fn_problem *p;
    ptrdiff_t rows_per_task;
} whole_rows_context;

static void whole_rows_task(void *context, ptrdiff_t index)
{
    const whole_rows_context *c = context;
    const fn_problem *p = c->p;
    const ptrdiff_t first = index * c->rows_per_task;
    c->kernels->rows[p->x_type][p->y_type](p, first, fn_least(first + c->rows_per_task, p->batch * p->keep));
}

static void whole_rows(const fn_kernels *kernels, const fn_problem *p, ptrdiff_t rows_per_task)
{
    whole_rows_context c = {kernels, p, rows_per_task};
    run(whole_rows_task, &c, (p->batch * p->keep + rows_per_task - 1) / rows_per_task);
}

/* Rows: tasks of pieces of one statistic after the other. */
typedef struct {
    const fn_kernels *kernels;
    const fn_problem *p;
    ptrdiff_t row;
    int is_f64, exponent;
    fn_moments *moments;
    fn_range *ranges;
    fn_statistic statistic;
} pieces_context;

static void piece_moments_task(void *context, ptrdiff_t index)
{
    const pieces_context *c = context;
    c->kernels->piece_moments[c->p->x_type][c->is_f64](c->p, c->row, index, c->exponent, &c->moments[index]);
}

static void piece_survey_task(void *context, ptrdiff_t index)
{
    const pieces_context *c = context;
    c->kernels->piece_survey[c->p->x_type](c->p, c->row, index, &c->ranges[index]);
}

static void piece_apply_task(void *context, ptrdiff_t index)
{
    const pieces_context *c = context;
    c->kernels->piece_apply[c->p->x_type][c->p->y_type](c->p, c->row, index, &c->statistic);
}

static fn_moments merged_moments(pieces_context *c, ptrdiff_t pieces)
{
    run(piece_moments_task, c, pieces);
    for (ptrdiff_t index = 1; index < pieces; index++)
        fn_merge(fn_sums_of(c->p->statistic), &c->moments[0], &c->moments[index]);
    return c->moments[0];
}

static void find_shared_row(pieces_context *c, ptrdiff_t pieces)
{
    fn_statistic *s = &c->statistic;
    c->exponent = 0;
    if (c->p->statistic == FN_GIVEN) {
        fn_given(c->p->mean[c->row], c->p->rstd[c->row], c->is_f64, s);
        return;
    }
    fn_moments moments = merged_moments(c, pieces);
    if (!fn_finish(c->p, &moments, c->is_f64, s)) {
        run(piece_survey_task, c, pieces);
        for (ptrdiff_t index = 1; index < pieces; index++)
            fn_range_merge(&c->ranges[0], &c->ranges[index]);
        if (fn_rescue_plan(c->p, &c->ranges[0], s)) {
            c->exponent = s->exponent;
            moments = merged_moments(c, pieces);
            fn_rescue_finish(c->p, &moments, c->is_f64, s);
        }
    }
    fn_report(c->p, c->row, s);
}

static void shared_rows(const fn_kernels *kernels, const fn_problem *p)
{
    const ptrdiff_t pieces = fn_count_pieces(p);
    pieces_context c = {.kernels = kernels, .p = p, .is_f64 = arithmetic_is_f64(p)};
    c.moments = must_malloc((size_t)pieces * sizeof *c.moments);
    c.ranges = must_malloc((size_t)pieces * sizeof *c.ranges);
    for (c.row = 0; c.row < p->batch * p->keep; c.row++) {
        find_shared_row(&c, pieces);
        if (p->y.data)
            run(piece_apply_task, &c, pieces);
    }
    free(c.moments);
    free(c.ranges);
}

/* Columns: tiles of so many keep indices, of which the first one lacks `before`. */
typedef struct {
    const fn_kernels *kernels;
    const fn_problem *p;
    ptrdiff_t tile, before, tiles;
    int is_f64;
    ptrdiff_t batch, parts, rows_per_task;
    double **moments;    /* [tile * parts + part] */
    fn_column_map *maps; /* [tile] */
} columns_context;

static columns_context cut_tiles(const fn_kernels *kernels, const fn_problem *p, ptrdiff_t tile, ptrdiff_t before)
{
    const ptrdiff_t tiles = (p->keep + before + tile - 1) / tile;
    return (columns_context){.kernels = kernels, .p = p, .tile = tile, .before = before, .tiles = tiles};
}

static ptrdiff_t first_of(const columns_context *c, ptrdiff_t tile)
{
    return tile == 0 ? 0 : tile * c->tile - c->before;
}

static ptrdiff_t last_of(const columns_context *c, ptrdiff_t tile)
{
    return fn_least((tile + 1) * c->tile - c->before, c->p->keep);
}

static void whole_columns_task(void *context, ptrdiff_t index)
{
    const columns_context *c = context;
    const ptrdiff_t tile = index % c->tiles;
    c->kernels->columns[c->p->x_type][c->p->y_type](c->p, index / c->tiles, first_of(c, tile), last_of(c, tile));
}

static void whole_columns(const fn_kernels *kernels, const fn_problem *p, ptrdiff_t tile, ptrdiff_t before)
{
    columns_context c = cut_tiles(kernels, p, tile, before);
    run(whole_columns_task, &c, p->batch * c.tiles);
}

static void column_moments_task(void *context, ptrdiff_t index)
{
    const columns_context *c = context;
    const ptrdiff_t tile = index % c->tiles, part = index / c->tiles;
    c->kernels->column_moments[c->p->x_type][c->is_f64](c->p, c->batch, first_of(c, tile), last_of(c, tile), part,
                                                        c->moments[tile * c->parts + part]);
}

static void column_finish_task(void *context, ptrdiff_t tile)
{
    const columns_context *c = context;
    const fn_problem *p = c->p;
    const ptrdiff_t first = first_of(c, tile), last = last_of(c, tile), row_parts = fn_row_parts(p);
    double **moments = c->moments + tile * c->parts;
    for (ptrdiff_t part = 1; part < row_parts && p->statistic != FN_GIVEN; part++)
        fn_merge_part(p, fn_columns(p, first, last), part, moments[0], moments[part]);
    c->kernels->column_finish[p->x_type][c->is_f64](p, c->batch, first, last, moments[0],
                                                    row_parts < c->parts ? moments[row_parts] : NULL, &c->maps[tile]);
}

static void column_apply_task(void *context, ptrdiff_t index)
{
    const columns_context *c = context;
    const fn_problem *p = c->p;
    const ptrdiff_t tile = index % c->tiles, start = index / c->tiles * c->rows_per_task;
    const ptrdiff_t end = fn_least(start + c->rows_per_task, fn_rows(p) + p->outer % p->side);
    c->kernels->column_apply[p->x_type][p->y_type](p, c->batch, first_of(c, tile), last_of(c, tile), start, end,
                                                   &c->maps[tile]);
}

static void shared_columns(const fn_kernels *kernels, const fn_problem *p, ptrdiff_t tile, ptrdiff_t before,
                           ptrdiff_t rows_per_task)
{
    const ptrdiff_t rows = fn_rows(p) + p->outer % p->side;
    columns_context c = cut_tiles(kernels, p, tile, before);
    c.is_f64 = arithmetic_is_f64(p);
    c.parts = fn_column_parts(p);
    c.rows_per_task = rows_per_task;
    c.moments = must_malloc((size_t)(c.tiles * c.parts) * sizeof *c.moments);
    c.maps = must_malloc((size_t)c.tiles * sizeof *c.maps);
    for (ptrdiff_t i = 0; i < c.tiles * c.parts; i++) /* each of its own: no more than the kernel was promised */
        c.moments[i] = must_malloc((size_t)(3 * fn_columns(p, first_of(&c, i / c.parts), last_of(&c, i / c.parts))) *
                                   sizeof(double));
    for (c.batch = 0; c.batch < p->batch; c.batch++) {
        if (p->statistic != FN_GIVEN)
            run(column_moments_task, &c, c.tiles * c.parts);
        run(column_finish_task, &c, c.tiles);
        if (p->y.data)
            run(column_apply_task, &c, c.tiles * ((rows + rows_per_task - 1) / rows_per_task));
    }
    for (ptrdiff_t i = 0; i < c.tiles * c.parts; i++)
        free(c.moments[i]);
    free(c.moments);
    free(c.maps);
}

#endif
