# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The rows kernel's memory and threads: statistics over contiguous stretches, one call for the whole array.

Two ways to the same C functions, chosen by shape and never visible in the bits: tasks of whole statistics; or, for few
that are long, tasks of pieces: every piece's moments, their merge in index order, then the apply. The end of a
recurrent cell is rows and an activation, which finds them in the cache.
"""
cimport numpy as cnp
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport (
    FN_CENTERED,
    FN_CLOSE,
    FN_F64,
    FN_GIVEN,
    FN_LINEAR,
    FN_RELU,
    FN_SIGMOID,
    FN_TANH,
    fn_count_pieces,
    fn_finish,
    fn_float_mode_enter,
    fn_float_mode_leave,
    fn_given,
    fn_inverse,
    fn_merge,
    fn_moments,
    fn_operand,
    fn_problem,
    fn_range,
    fn_range_merge,
    fn_report,
    fn_rescue_finish,
    fn_rescue_plan,
    fn_statistic,
    fn_stretch_group,
    fn_sums_of,
)
from fastnorm._kernels.tasks cimport run, team_for
from fastnorm._kernels.views cimport bytes_of, fill_problem

cnp.import_array()

cdef Py_ssize_t TASK_BYTES = 128 * 1024  # read and written by one task: overhead below 1 %, balance for two threads
cdef Py_ssize_t LONG_BYTES = 256 << 20  # of one row, which then is several tasks: between two, signals are handled
cdef Py_ssize_t TASK_ROOTS = 4096
cdef Py_ssize_t ROOT_COST = 256  # one takes as long as moving so many bytes
cdef Py_ssize_t EXPONENTIAL_COST = 8  # tanh and sigmoid take so many times what moving the data takes

ACTIVATIONS = {"identity": FN_LINEAR, "relu": FN_RELU, "sigmoid": FN_SIGMOID, "tanh": FN_TANH}


cdef struct rows_context:
    const fn_problem *problem
    Py_ssize_t rows, rows_per_task


cdef void rows_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef rows_context *c = <rows_context *> context
    cdef const fn_problem *p = c.problem
    cdef Py_ssize_t first = index * c.rows_per_task
    kernels.rows[p.x_type][p.y_type](p, first, min(first + c.rows_per_task, c.rows))


cdef struct pieces_context:
    const fn_problem *problem
    Py_ssize_t row
    int is_f64, exponent
    fn_moments *moments
    fn_range *ranges
    const fn_statistic *statistic


cdef void moments_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef pieces_context *c = <pieces_context *> context
    kernels.piece_moments[c.problem.x_type][c.is_f64](c.problem, c.row, index, c.exponent, &c.moments[index])


cdef void survey_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef pieces_context *c = <pieces_context *> context
    kernels.piece_survey[c.problem.x_type](c.problem, c.row, index, &c.ranges[index])


cdef void apply_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef pieces_context *c = <pieces_context *> context
    cdef const fn_problem *p = c.problem
    kernels.piece_apply[p.x_type][p.y_type](p, c.row, index, c.statistic)


# To the first piece's.
cdef int merge_moments(pieces_context *c, Py_ssize_t n_pieces, int threads) except -1 nogil:
    cdef Py_ssize_t index
    run(moments_task, c, n_pieces, threads)
    for index in range(1, n_pieces):
        fn_merge(fn_sums_of(c.problem.statistic), &c.moments[0], &c.moments[index])
    return 0


cdef int merge_ranges(pieces_context *c, Py_ssize_t n_pieces, int threads) except -1 nogil:
    cdef Py_ssize_t index
    run(survey_task, c, n_pieces, threads)
    for index in range(1, n_pieces):
        fn_range_merge(&c.ranges[0], &c.ranges[index])
    return 0


# The same steps as chunk.h and rows.h take for one statistic, each spread over the team.
cdef int shared_row(pieces_context *c, Py_ssize_t n_pieces, int threads) except -1 nogil:
    cdef const fn_problem *p = c.problem
    cdef fn_statistic statistic
    c.statistic = &statistic
    c.exponent = 0
    if p.statistic == FN_GIVEN:
        fn_given(p.mean[c.row], p.rstd[c.row], c.is_f64, &statistic)
    else:
        merge_moments(c, n_pieces, threads)
        if not fn_finish(p, &c.moments[0], c.is_f64, &statistic):
            merge_ranges(c, n_pieces, threads)
            if fn_rescue_plan(p, &c.ranges[0], &statistic):
                c.exponent = statistic.exponent
                merge_moments(c, n_pieces, threads)
                fn_rescue_finish(p, &c.moments[0], c.is_f64, &statistic)
        fn_report(p, c.row, &statistic)
    if p.y.data != NULL:
        run(apply_task, c, n_pieces, threads)
    return 0


cdef int shared_rows(const fn_problem *p, Py_ssize_t n_pieces, int threads) except -1:
    cdef pieces_context c
    cdef uint64_t mode
    c.problem = p
    c.is_f64 = p.x_type == FN_F64 or p.y_type == FN_F64
    c.moments = <fn_moments *> malloc(n_pieces * sizeof(fn_moments))
    c.ranges = <fn_range *> malloc(n_pieces * sizeof(fn_range))
    try:
        if c.moments == NULL or c.ranges == NULL:
            raise MemoryError(f"fastnorm needs {n_pieces * (sizeof(fn_moments) + sizeof(fn_range))} bytes of scratch")
        mode = fn_float_mode_enter()  # the merges run here, outside any task
        try:
            with nogil:
                for c.row in range(p.batch * p.keep):
                    shared_row(&c, n_pieces, threads)
        finally:
            fn_float_mode_leave(mode)
    finally:
        free(c.moments)
        free(c.ranges)
    return 0


cdef struct roots_context:
    const double *level
    double *sums
    double power
    Py_ssize_t length


cdef void roots_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef roots_context *c = <roots_context *> context
    cdef Py_ssize_t first = index * TASK_ROOTS
    kernels.power_roots(min(TASK_ROOTS, c.length - first), c.level + first, c.power, c.sums + first)


def power_roots(
    cnp.ndarray level,              # IN  float64, contiguous
    double power,
    cnp.ndarray sums,               # IN  of (|x| / level)^power; OUT norm / level; float64, contiguous, level's shape
) -> None:
    """From what NORM_POWER summed to norms."""
    cdef roots_context c
    c.level = <double *> cnp.PyArray_DATA(level)
    c.sums = <double *> cnp.PyArray_DATA(sums)
    c.power = power
    c.length = cnp.PyArray_SIZE(sums)
    with nogil:
        run(roots_task, &c, (c.length + TASK_ROOTS - 1) // TASK_ROOTS, team_for(c.length * ROOT_COST))


cdef int solve_rows(const fn_problem *p, Py_ssize_t bytes_moved) except -1:
    cdef rows_context c
    cdef Py_ssize_t row_bytes, together, n_pieces = fn_count_pieces(p)
    cdef int threads = team_for(bytes_moved)
    c.problem = p
    c.rows = p.batch * p.keep
    row_bytes = bytes_moved // c.rows
    if n_pieces > 1 and (row_bytes > LONG_BYTES or (threads > 1 and c.rows < 2 * threads)):
        return shared_rows(p, n_pieces, threads)
    together = min(fn_stretch_group(p), c.rows // (4 * threads))  # balance comes first
    c.rows_per_task = max(TASK_BYTES // max(row_bytes, 1), together, 1)
    with nogil:
        run(rows_task, &c, (c.rows + c.rows_per_task - 1) // c.rows_per_task, threads)
    return 0


def normalize(
    Py_ssize_t side,                # IN  1, or outer: then it is contiguous with segments and run in x, and keep is 1
    object x,                       # IN  [batch, outer, keep, segments, run], segments * run contiguous
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
        in_columns=False,
    )
    p.side = side
    solve_rows(&p, bytes_of(x, y))


cdef struct cell_context:
    const fn_problem *problem
    char *y
    Py_ssize_t y_row, rows_per_task
    int activation, y_type, is_f64


cdef void cell_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef cell_context *c = <cell_context *> context
    cdef const fn_problem *p = c.problem
    cdef Py_ssize_t row, first = index * c.rows_per_task
    for row in range(first, min(first + c.rows_per_task, p.keep)):
        kernels.rows[p.x_type][p.x_type](p, row, row + 1)
        kernels.activate[c.is_f64](
            c.activation, p.x.data + row * p.x.keep, c.y + row * c.y_row, p.segments, c.y_type
        )


cdef void describe_vector(object array, Py_ssize_t length, fn_operand *operand) noexcept:
    operand.data = NULL if array is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> array)
    operand.batch = operand.outer = operand.keep = operand.run = 0
    operand.segments = 0 if array is None or length == 1 else cnp.PyArray_ITEMSIZE(<cnp.ndarray> array)


def normalize_and_activate(
    cnp.ndarray a,      # INOUT C-contiguous (B, H) or (H,), of the arithmetic type, not empty; scratch unless it is y
    object gain,        # IN  contiguous (H,) of the same type, or None
    object bias,        # IN  likewise
    cnp.ndarray y,      # OUT C-contiguous, a's shape; a itself, or memory that a does not touch
    int x_type,
    int y_type,
    double eps,
    int activation,     # IN  of ACTIVATIONS
) -> None:
    """Write activation(layer_norm(a) * gain + bias) to y."""
    cdef fn_problem p
    cdef cell_context c
    cdef Py_ssize_t length = cnp.PyArray_DIM(a, cnp.PyArray_NDIM(a) - 1)
    cdef Py_ssize_t cost, row_bytes = length * cnp.PyArray_ITEMSIZE(a)
    cdef int threads
    p.batch = p.outer = p.run = p.side = 1
    p.keep = cnp.PyArray_SIZE(a) // length
    p.segments = length
    p.x.data = p.y.data = <char *> cnp.PyArray_DATA(a)
    p.x.batch = p.y.batch = p.x.outer = p.y.outer = 0
    p.x.keep = p.y.keep = row_bytes
    describe_vector(gain, length, &p.weight)
    describe_vector(bias, length, &p.bias)
    p.mean = p.rstd = p.m2 = NULL
    p.eps = eps
    p.power = 0
    p.upper = INFINITY
    p.inverse_n = p.inverse_elements = fn_inverse(length)
    p.statistic = FN_CENTERED
    p.stream = FN_CLOSE  # row by row
    p.x_type = p.y_type = x_type
    c.problem = &p
    c.y = <char *> cnp.PyArray_DATA(y)
    c.y_row = length * cnp.PyArray_ITEMSIZE(y)
    c.y_type = y_type
    c.is_f64 = x_type == FN_F64
    c.activation = activation
    c.rows_per_task = max(TASK_BYTES // (2 * row_bytes), <Py_ssize_t> 1)
    cost = EXPONENTIAL_COST if activation == FN_TANH or activation == FN_SIGMOID else 1
    threads = team_for(2 * p.keep * row_bytes * cost)
    with nogil:
        run(cell_task, &c, (p.keep + c.rows_per_task - 1) // c.rows_per_task, threads)
