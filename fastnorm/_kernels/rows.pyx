# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The rows kernel's memory and threads: statistics over contiguous elements, one call for the whole array.

Three ways to the same C functions, chosen by shape and never visible in the bits:

- `small`: the plain call (C-contiguous float32 or float64, the last axis) that is too small for threads. No memoryview,
  no OpenMP, and below 16 Ki elements the GIL is kept: at this size each of these costs as much as the arithmetic.
- tasks of whole rows, for all else;
- tasks of chunks, for few rows that are long: every chunk's moments, their merge in index order, then the apply.
"""
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from libc.math cimport isfinite
from libc.stdint cimport int16_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc

from fastnorm._kernels.isa cimport kernels, last_level_cache
from fastnorm._kernels.problem cimport (
    FN_BF16,
    FN_CENTERED,
    FN_CHUNK,
    FN_F16,
    FN_F32,
    FN_F64,
    FN_SQUARES,
    FN_UNCENTERED,
    fn_finish,
    fn_float_mode_enter,
    fn_float_mode_leave,
    fn_merge,
    fn_moments,
    fn_operand,
    fn_problem,
    fn_range,
    fn_range_merge,
    fn_rescue_finish,
    fn_rescue_plan,
    fn_statistic,
)
from fastnorm._kernels.tasks cimport TEAM_BYTES, run, team_for

cnp.import_array()

F32, F64, F16, BF16 = FN_F32, FN_F64, FN_F16, FN_BF16
CENTERED, UNCENTERED, SQUARES = FN_CENTERED, FN_UNCENTERED, FN_SQUARES

cdef Py_ssize_t GIL_ELEMENTS = 16 * 1024
cdef Py_ssize_t TASK_BYTES = 128 * 1024  # read and written by one task: overhead below 1 %, balance for two threads

# Results this large are gone from the cache before anyone reads them, so they are written past it. The smaller of 3/4
# of the last-level cache and 32 MB: servers report hundreds of MB of which one process keeps a share (measured where
# 480 MB are reported: writing past the cache took 1.2 times as long at 16 MB, 1.0 at 32 MB, 0.7 at 45 MB). Not so for
# memory that the system has yet to provide: it is zeroed page by page just before we write, which leaves it in the
# cache (1.4 times as long).
cdef Py_ssize_t STREAM_BYTES = min(3 * last_level_cache // 4 or 32 << 20, 32 << 20)

ctypedef fused element:
    float
    double
    uint16_t
    int16_t


cdef void fill_operand(const element[:, :, :, :, :] view, fn_operand *operand) noexcept:
    operand.data = <char *> &view[0, 0, 0, 0, 0]
    operand.batch = view.strides[0]
    operand.outer = view.strides[1]
    operand.keep = view.strides[2]
    operand.segments = view.strides[3]
    operand.run = view.strides[4]


# The array must outlive the operand: it holds the memory, the memoryview only checks type and rank.
cdef int describe(
    object array,           # IN  x[batch, outer, keep, segments, run], or None for an absent parameter
    int element_type,       # IN  FN_F32 ...
    fn_operand *operand,    # OUT
) except -1:
    if array is None:
        operand.data = NULL
        operand.batch = operand.outer = operand.keep = operand.segments = operand.run = 0
    elif element_type == FN_F32:
        fill_operand[float](array, operand)
    elif element_type == FN_F64:
        fill_operand[double](array, operand)
    elif element_type == FN_F16:
        fill_operand[uint16_t](array, operand)
    else:
        fill_operand[int16_t](array, operand)
    return 0


cdef struct rows_context:
    const fn_problem *problem
    Py_ssize_t rows, rows_per_task


cdef void rows_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef rows_context *c = <rows_context *> context
    cdef const fn_problem *p = c.problem
    cdef Py_ssize_t first = index * c.rows_per_task
    kernels.rows[p.x_type][p.y_type](p, first, min(first + c.rows_per_task, c.rows))


cdef struct chunks_context:
    const fn_problem *problem
    Py_ssize_t row, length
    const char *x
    Py_ssize_t x_itemsize
    int is_f64, exponent
    fn_moments *moments
    fn_range *ranges
    const fn_statistic *statistic


cdef inline Py_ssize_t chunk_length(const chunks_context *c, Py_ssize_t index) noexcept nogil:
    return min(<Py_ssize_t> FN_CHUNK, c.length - index * FN_CHUNK)


cdef void moments_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef chunks_context *c = <chunks_context *> context
    kernels.chunk_moments[c.problem.x_type][c.is_f64](
        c.x + index * FN_CHUNK * c.x_itemsize,
        chunk_length(c, index),
        c.problem.statistic == FN_SQUARES,
        c.exponent,
        &c.moments[index],
    )


cdef void survey_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef chunks_context *c = <chunks_context *> context
    kernels.chunk_survey[c.problem.x_type](
        c.x + index * FN_CHUNK * c.x_itemsize, chunk_length(c, index), &c.ranges[index]
    )


cdef void apply_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef chunks_context *c = <chunks_context *> context
    cdef const fn_problem *p = c.problem
    kernels.chunk_apply[p.x_type][p.y_type](p, c.row, index * FN_CHUNK, chunk_length(c, index), c.statistic)


cdef fn_moments merged_moments(chunks_context *c, Py_ssize_t n_chunks, int threads) noexcept nogil:
    cdef Py_ssize_t index
    run(moments_task, c, n_chunks, threads)
    for index in range(1, n_chunks):
        fn_merge(&c.moments[0], &c.moments[index])
    return c.moments[0]


cdef fn_range merged_range(chunks_context *c, Py_ssize_t n_chunks, int threads) noexcept nogil:
    cdef Py_ssize_t index
    run(survey_task, c, n_chunks, threads)
    for index in range(1, n_chunks):
        fn_range_merge(&c.ranges[0], &c.ranges[index])
    return c.ranges[0]


# The same steps as rows.h takes for one row, each spread over the team.
cdef void shared_row(chunks_context *c, Py_ssize_t n_chunks, int threads) noexcept nogil:
    cdef const fn_problem *p = c.problem
    cdef double inverse_n = 1.0 / <double> c.length
    cdef fn_statistic statistic
    cdef fn_moments moments
    cdef fn_range bounds
    c.x = p.x.data + c.row // p.keep * p.x.batch + c.row % p.keep * p.x.keep
    c.statistic = &statistic
    c.exponent = 0
    moments = merged_moments(c, n_chunks, threads)
    if not fn_finish(&moments, inverse_n, p.eps, p.statistic, c.is_f64, &statistic):
        bounds = merged_range(c, n_chunks, threads)
        if fn_rescue_plan(&bounds, p.eps, p.statistic, &statistic):
            c.exponent = statistic.exponent
            moments = merged_moments(c, n_chunks, threads)
            fn_rescue_finish(&moments, inverse_n, p.eps, p.statistic, c.is_f64, &statistic)
    if p.mean != NULL:
        p.mean[c.row] = statistic.reported_mean
    if p.rstd != NULL:
        p.rstd[c.row] = statistic.reported_rstd
    run(apply_task, c, n_chunks, threads)


cdef int shared_rows(const fn_problem *p, Py_ssize_t x_itemsize, int threads) except -1:
    cdef chunks_context c
    cdef Py_ssize_t n_chunks
    cdef uint64_t mode
    c.problem = p
    c.length = p.segments * p.run
    c.x_itemsize = x_itemsize
    c.is_f64 = p.x_type == FN_F64 or p.y_type == FN_F64
    n_chunks = (c.length + FN_CHUNK - 1) // FN_CHUNK
    c.moments = <fn_moments *> malloc(n_chunks * sizeof(fn_moments))
    c.ranges = <fn_range *> malloc(n_chunks * sizeof(fn_range))
    try:
        if c.moments == NULL or c.ranges == NULL:
            raise MemoryError(f"fastnorm needs {n_chunks * (sizeof(fn_moments) + sizeof(fn_range))} bytes of scratch")
        with nogil:
            mode = fn_float_mode_enter()  # the merges run here, outside any task
            for c.row in range(p.batch * p.keep):
                shared_row(&c, n_chunks, threads)
            fn_float_mode_leave(mode)
    finally:
        free(c.moments)
        free(c.ranges)
    return 0


def normalize(
    object x,                       # IN  [batch, 1, keep, segments, run], segments * run contiguous
    object y,                       # OUT the same shape; x itself, or memory that x does not touch
    object weight,                  # IN  the same rank in the arithmetic type, or None
    object bias,                    # IN  likewise
    double[::1] mean,               # OUT [batch * keep], or None
    double[::1] rstd,               # OUT likewise
    int x_type,
    int y_type,
    double eps,
    int statistic,
    bint y_is_new,                  # IN  its pages were not written yet
) -> None:
    """Normalise every (batch, keep) over (segments, run); float16 comes as uint16 and bfloat16 as int16."""
    cdef fn_problem p
    cdef rows_context c
    cdef Py_ssize_t row_bytes, bytes_moved
    cdef int threads
    cdef int arithmetic = FN_F64 if x_type == FN_F64 or y_type == FN_F64 else FN_F32
    cdef cnp.ndarray x_array = x, y_array = y
    p.batch, p.outer, p.keep, p.segments, p.run = x.shape
    describe(x, x_type, &p.x)
    describe(y, y_type, &p.y)
    describe(weight, arithmetic, &p.weight)
    describe(bias, arithmetic, &p.bias)
    p.mean = NULL if mean is None else &mean[0]
    p.rstd = NULL if rstd is None else &rstd[0]
    p.eps = eps
    p.statistic = statistic
    p.x_type = x_type
    p.y_type = y_type
    p.stream = not y_is_new and p.x.data != p.y.data and cnp.PyArray_NBYTES(y_array) >= STREAM_BYTES

    bytes_moved = cnp.PyArray_NBYTES(x_array) + cnp.PyArray_NBYTES(y_array)
    threads = team_for(bytes_moved)
    c.problem = &p
    c.rows = p.batch * p.keep
    if threads > 1 and c.rows < 2 * threads and p.segments * p.run > FN_CHUNK:
        shared_rows(&p, cnp.PyArray_ITEMSIZE(x_array), threads)
        return
    row_bytes = bytes_moved // c.rows
    c.rows_per_task = max(TASK_BYTES // max(row_bytes, 1), 1)
    with nogil:
        run(rows_task, &c, (c.rows + c.rows_per_task - 1) // c.rows_per_task, threads)


cdef inline bint is_plain(object array, int type_number) noexcept:
    return (
        cnp.PyArray_CheckExact(array)
        and cnp.PyArray_TYPE(<cnp.ndarray> array) == type_number
        and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> array)
    )


cdef inline bint is_plain_parameter(object array, int type_number, Py_ssize_t length) noexcept:
    return (
        is_plain(array, type_number)
        and cnp.PyArray_NDIM(<cnp.ndarray> array) == 1
        and cnp.PyArray_DIM(<cnp.ndarray> array, 0) == length
    )


cdef inline bint overlaps(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef char *a_data = <char *> cnp.PyArray_DATA(a)
    cdef char *b_data = <char *> cnp.PyArray_DATA(b)
    return a_data < b_data + cnp.PyArray_NBYTES(b) and b_data < a_data + cnp.PyArray_NBYTES(a)


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int i, rank = cnp.PyArray_NDIM(a)
    if cnp.PyArray_NDIM(b) != rank:
        return False
    for i in range(rank):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef bint is_safe_output(cnp.ndarray x, object out, int type_number, object weight, object bias) noexcept:
    return (
        is_plain(out, type_number)
        and cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out)
        and same_shape(x, <cnp.ndarray> out)
        and (cnp.PyArray_DATA(x) == cnp.PyArray_DATA(<cnp.ndarray> out) or not overlaps(x, <cnp.ndarray> out))
        and (weight is None or not overlaps(<cnp.ndarray> weight, <cnp.ndarray> out))
        and (bias is None or not overlaps(<cnp.ndarray> bias, <cnp.ndarray> out))
    )


def small(object x, object weight, object bias, object axis, object eps, object out, int statistic):
    """Answer the plain small call, or return None: then the caller checks, and says what is wrong if anything is."""
    cdef cnp.ndarray array, result
    cdef int type_number, rank, element_type
    cdef double eps_value
    cdef Py_ssize_t length, size
    cdef fn_problem p
    cdef uint64_t mode
    if not cnp.PyArray_CheckExact(x):
        return None
    array = <cnp.ndarray> x
    type_number = cnp.PyArray_TYPE(array)
    if type_number == cnp.NPY_FLOAT32:
        element_type = FN_F32
    elif type_number == cnp.NPY_FLOAT64:
        element_type = FN_F64
    else:
        return None
    rank = cnp.PyArray_NDIM(array)
    size = cnp.PyArray_SIZE(array)
    if (
        rank == 0
        or size == 0
        or 2 * cnp.PyArray_NBYTES(array) >= TEAM_BYTES
        or not cnp.PyArray_ISCARRAY_RO(array)
        or not PyLong_CheckExact(axis)
        or not PyFloat_CheckExact(eps)
    ):
        return None
    eps_value = PyFloat_AS_DOUBLE(eps)
    if (axis != -1 and axis != rank - 1) or not (eps_value >= 0 and isfinite(eps_value)):
        return None
    length = cnp.PyArray_DIM(array, rank - 1)
    if (weight is not None and not is_plain_parameter(weight, type_number, length)) or (
        bias is not None and not is_plain_parameter(bias, type_number, length)
    ):
        return None
    if out is None:
        result = <cnp.ndarray> cnp.PyArray_EMPTY(rank, cnp.PyArray_DIMS(array), type_number, 0)
    elif is_safe_output(array, out, type_number, weight, bias):
        result = <cnp.ndarray> out
    else:
        return None

    p.batch = p.outer = p.run = 1
    p.keep = size // length
    p.segments = length
    p.x.data = <char *> cnp.PyArray_DATA(array)
    p.y.data = <char *> cnp.PyArray_DATA(result)
    p.x.batch = p.y.batch = 0
    p.x.keep = p.y.keep = length * cnp.PyArray_ITEMSIZE(array)
    p.weight.data = NULL if weight is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> weight)
    p.bias.data = NULL if bias is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> bias)
    p.weight.batch = p.weight.keep = p.bias.batch = p.bias.keep = 0
    p.mean = p.rstd = NULL
    p.eps = eps_value
    p.statistic = statistic
    p.stream = 0
    p.x_type = p.y_type = element_type
    mode = fn_float_mode_enter()
    if size < GIL_ELEMENTS:
        kernels.rows[element_type][element_type](&p, 0, p.keep)
    else:
        with nogil:
            kernels.rows[element_type][element_type](&p, 0, p.keep)
    fn_float_mode_leave(mode)
    return result
