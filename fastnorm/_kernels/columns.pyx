# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The columns kernel's memory and threads: statistics that lie side by side, tile by tile.

Two ways to the same C functions, chosen by shape and never visible in the bits: a task is a tile of columns from top to
bottom, whose second pass finds it in the cache; or, where tiles are too few for the threads or too long, a task is a
part of the rows of all tiles: every part's moments, their merge in index order, then the apply.
"""
cimport numpy as cnp
from libc.stdlib cimport free, malloc

from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport (
    FN_F64,
    FN_GIVEN,
    FN_LINE,
    FN_TILE,
    fn_column_map,
    fn_column_parts,
    fn_columns,
    fn_merge_part,
    fn_operand,
    fn_problem,
    fn_row_parts,
    fn_rows,
)
from fastnorm._kernels.tasks cimport run, team_for
from fastnorm._kernels.views cimport bytes_of, fill_problem, size_of

cnp.import_array()

# Of a tile's row. Narrower ones, which stay in the second-level cache between the two passes, take longer: half as wide
# 1.0 to 1.3 times, a quarter 1.4 to 2.
cdef Py_ssize_t TILE_BYTES = 2048
cdef Py_ssize_t TILE_STEP = 16   # columns: whole cache lines, but of 16-bit types
# Two threads that share rows of fewer columns than these take longer than one: (2048, 256) 1.2 to 1.4 times.
cdef Py_ssize_t WIDE_TILE = 256
cdef Py_ssize_t TASK_BYTES = 128 * 1024  # read and written by one task of a shared apply
cdef Py_ssize_t LONG_BYTES = 256 << 20   # of one tile, which then is several tasks: between two, signals are handled


cdef struct columns_context:
    const fn_problem *problem
    Py_ssize_t tiles                # of one batch index
    Py_ssize_t tile, before         # keep indices of a tile, and how many the first one lacks
    int is_f64
    # Where threads share tiles:
    Py_ssize_t batch, parts, row_tasks, rows_per_task
    double *moments                 # [tile, part, 3 * FN_TILE]
    fn_column_map *maps             # [tile]


cdef inline Py_ssize_t first_of(const columns_context *c, Py_ssize_t tile) noexcept nogil:
    return max(tile * c.tile - c.before, <Py_ssize_t> 0)


cdef inline Py_ssize_t last_of(const columns_context *c, Py_ssize_t tile) noexcept nogil:
    return min((tile + 1) * c.tile - c.before, c.problem.keep)


# Tiles of about this many columns, that start where the result's cache lines do: a line written by two tiles would be
# fetched for each, and vectors that straddle lines load at half speed.
cdef void cut_tiles(columns_context *c, Py_ssize_t columns) noexcept nogil:
    cdef const fn_problem *p = c.problem
    cdef const fn_operand *aligned = &p.y if p.y.data != NULL else &p.x
    cdef Py_ssize_t stretch = p.segments * p.run
    c.tile = p.keep if p.side > 1 else min(max(columns // stretch, 1), p.keep)
    c.before = 0
    if c.tile < p.keep and stretch == 1:
        c.before = <Py_ssize_t> (<size_t> aligned.data % <size_t> FN_LINE) // aligned.keep
    c.tiles = (p.keep + c.before + c.tile - 1) // c.tile


cdef void tile_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef columns_context *c = <columns_context *> context
    cdef const fn_problem *p = c.problem
    cdef Py_ssize_t tile = index % c.tiles
    kernels.columns[p.x_type][p.y_type](p, index // c.tiles, first_of(c, tile), last_of(c, tile))


cdef inline double *part_of(const columns_context *c, Py_ssize_t tile, Py_ssize_t part) noexcept nogil:
    return c.moments + (tile * c.parts + part) * 3 * FN_TILE


cdef void moments_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef columns_context *c = <columns_context *> context
    cdef Py_ssize_t tile = index % c.tiles, part = index // c.tiles
    kernels.column_moments[c.problem.x_type][c.is_f64](
        c.problem, c.batch, first_of(c, tile), last_of(c, tile), part, part_of(c, tile, part)
    )


cdef void finish_task(void *context, Py_ssize_t tile) noexcept nogil:
    cdef columns_context *c = <columns_context *> context
    cdef const fn_problem *p = c.problem
    cdef Py_ssize_t part, first = first_of(c, tile), last = last_of(c, tile), row_parts = fn_row_parts(p)
    cdef double *moments = part_of(c, tile, 0)
    if p.statistic != FN_GIVEN:
        for part in range(1, row_parts):
            fn_merge_part(p, fn_columns(p, first, last), part, moments, part_of(c, tile, part))
    kernels.column_finish[p.x_type][c.is_f64](
        p, c.batch, first, last, moments, part_of(c, tile, row_parts) if row_parts < c.parts else NULL, &c.maps[tile]
    )


cdef void apply_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef columns_context *c = <columns_context *> context
    cdef const fn_problem *p = c.problem
    cdef Py_ssize_t tile = index % c.tiles, start = index // c.tiles * c.rows_per_task
    kernels.column_apply[p.x_type][p.y_type](
        p, c.batch, first_of(c, tile), last_of(c, tile), start,
        min(start + c.rows_per_task, fn_rows(p) + p.outer % p.side), &c.maps[tile]
    )


cdef int shared_tiles(columns_context *c, Py_ssize_t bytes_moved, int threads) except -1:
    cdef const fn_problem *p = c.problem
    cdef Py_ssize_t rows = fn_rows(p) + p.outer % p.side, tasks, needed
    c.parts = fn_column_parts(p)
    tasks = max(bytes_moved // p.batch // TASK_BYTES // c.tiles, 1)
    c.rows_per_task = (rows + tasks - 1) // tasks
    c.row_tasks = (rows + c.rows_per_task - 1) // c.rows_per_task
    needed = c.tiles * (c.parts * 3 * FN_TILE * sizeof(double) + sizeof(fn_column_map))
    c.moments = <double *> malloc(c.tiles * c.parts * 3 * FN_TILE * sizeof(double))
    c.maps = <fn_column_map *> malloc(c.tiles * sizeof(fn_column_map))
    try:
        if c.moments == NULL or c.maps == NULL:
            raise MemoryError(f"fastnorm needs {needed} bytes of scratch")
        with nogil:
            for c.batch in range(p.batch):
                if p.statistic != FN_GIVEN:
                    run(moments_task, c, c.tiles * c.parts, threads)
                run(finish_task, c, c.tiles, threads if c.tiles > 1 else 1)
                if p.y.data != NULL:
                    run(apply_task, c, c.tiles * c.row_tasks, threads)
    finally:
        free(c.moments)
        free(c.maps)
    return 0


cdef int solve_columns(const fn_problem *p, Py_ssize_t bytes_moved) except -1:
    cdef columns_context c
    cdef Py_ssize_t tile = min(<Py_ssize_t> FN_TILE, TILE_BYTES // size_of(p.x_type))
    cdef Py_ssize_t columns, tiles
    cdef bint is_long
    cdef int threads = team_for(bytes_moved)
    c.problem = p
    c.is_f64 = p.x_type == FN_F64 or p.y_type == FN_F64
    if p.keep * p.segments * p.run <= FN_TILE or p.statistic == FN_GIVEN:  # one sweep
        tile = FN_TILE
    cut_tiles(&c, tile)
    if threads > 1 and c.tiles > 1 and p.batch == 1:  # as many for each thread
        tiles = (c.tiles + threads - 1) // threads * threads
        columns = (p.keep * p.segments * p.run + tiles - 1) // tiles
        cut_tiles(&c, min((columns + TILE_STEP - 1) // TILE_STEP * TILE_STEP, tile))
    is_long = bytes_moved // (p.batch * c.tiles) > LONG_BYTES
    if is_long or (threads > 1 and p.batch * c.tiles < 2 * threads):
        columns = p.keep * p.segments * p.run
        if is_long or p.statistic == FN_GIVEN or fn_row_parts(p) >= 2 * threads:
            cut_tiles(&c, FN_TILE)
            shared_tiles(&c, bytes_moved, threads)
            return 0
        if columns * p.batch >= 2 * threads * WIDE_TILE:
            columns = columns * p.batch // (2 * threads) // TILE_STEP * TILE_STEP
            cut_tiles(&c, min(columns, <Py_ssize_t> FN_TILE))
        elif p.batch * c.tiles < threads:
            threads = <int> max(min(<Py_ssize_t> threads, columns * fn_row_parts(p) // WIDE_TILE), <Py_ssize_t> 1)
            if threads > 1:  # narrow tiles for the sums, rows for the apply
                columns = columns * fn_row_parts(p) // (2 * threads) // TILE_STEP * TILE_STEP
                cut_tiles(&c, min(columns, <Py_ssize_t> FN_TILE))
                shared_tiles(&c, bytes_moved, threads)
                return 0
    with nogil:
        run(tile_task, &c, p.batch * c.tiles, threads)
    return 0


def normalize(
    Py_ssize_t side,                # IN  outer positions side by side; above 1, outer is contiguous with keep
    object x,                       # IN  [batch, outer, keep, segments, run], keep * segments * run contiguous
    object y,                       # OUT the same shape; x itself, or memory that x does not touch; or None
    object weight,                  # IN  the same rank in the arithmetic type, or None
    object bias,                    # IN  likewise
    object mean,                    # OUT [batch * keep], or None; GIVEN: IN
    object rstd,                    # OUT likewise
    object m2,                      # OUT likewise
    int x_type,
    int y_type,                     # IN  where y is None: F64 asks for float64 sums
    double eps,
    Py_ssize_t ddof,
    int statistic,
    double power,                   # IN  NORM_POWER: p
    double upper,                   # IN  EXTREMES: the largest result
) -> None:
    """Normalise every (batch, keep) over (outer, segments, run); float16 comes as uint16 and bfloat16 as int16."""
    cdef fn_problem p
    fill_problem(
        &p, x, y, weight, bias, mean, rstd, m2, x_type, y_type, eps, ddof, statistic, power, upper,
        in_columns=True,
    )
    p.side = side
    solve_columns(&p, bytes_of(x, y))
