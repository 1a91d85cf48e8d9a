"""The plain call: answered without Python's checks and plans, which take as long as moving a megabyte.

The words of the problem follow from x's shape alone, because x is C-contiguous and of the arithmetic type; what is in
any way less plain is left to the caller, who checks it and says what is wrong if anything is. A small problem goes
straight to the kernels' C functions, a large one to the tasks and threads that all others share: the bits are those of
every other way.
"""
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from libc.limits cimport LONG_MIN
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastnorm._kernels.columns cimport solve_columns
from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport (
    FN_CENTERED,
    FN_F32,
    FN_F64,
    FN_GIVEN,
    FN_ROW_OUTER,
    FN_ROW_SIDE,
    FN_ROW_STRETCH,
    FN_SEGMENT,
    FN_TILE,
    FN_WIDE_STRETCH,
    fn_float_mode_enter,
    fn_float_mode_leave,
    fn_inverse,
    fn_operand,
    fn_problem,
    fn_stretch_group,
)
from fastnorm._kernels.rows cimport solve_rows
from fastnorm._kernels.tasks cimport TEAM_BYTES
from fastnorm._kernels.views cimport goes_past_caches

cnp.import_array()

cdef Py_ssize_t GIL_ELEMENTS = 16 * 1024  # releasing the GIL takes as long as the arithmetic on fewer
# Short planes of so many channels are mapped sample by sample, beside each other: of the time, 7x7 and 14x14 0.78 to
# 0.92. Planes of 784 and more take 1.1 to 1.4 times as long channel by channel.
cdef Py_ssize_t SHARED_MAPS = 8


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


cdef int plain_type(object x) noexcept:
    """FN_F32 or FN_F64 where x is plain and has elements, else -1."""
    cdef int type_number
    if not cnp.PyArray_CheckExact(x):
        return -1
    type_number = cnp.PyArray_TYPE(<cnp.ndarray> x)
    if (
        (type_number != cnp.NPY_FLOAT32 and type_number != cnp.NPY_FLOAT64)
        or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x)
        or cnp.PyArray_NBYTES(<cnp.ndarray> x) == 0
    ):
        return -1
    return FN_F32 if type_number == cnp.NPY_FLOAT32 else FN_F64


cdef long int_of(object value) noexcept:
    """The plain int; LONG_MIN, which is no axis and no number of groups, for anything else."""
    cdef int overflow = 0
    cdef long number = PyLong_AsLongAndOverflow(value, &overflow) if PyLong_CheckExact(value) else LONG_MIN
    return LONG_MIN if overflow else number


cdef Py_ssize_t axis_of(object axis, int rank) noexcept:
    """From 0 to rank - 1, or -1 where it is no plain int or out of range."""
    cdef long value = int_of(axis)
    if value < -rank or value >= rank:
        return -1
    return value + rank if value < 0 else value


cdef double eps_of(object eps) noexcept:
    """The float, or -1 where it is none that may be used."""
    cdef double value = PyFloat_AS_DOUBLE(eps) if PyFloat_CheckExact(eps) else -1.0
    return value if value >= 0 and isfinite(value) else -1.0


cdef Py_ssize_t elements(cnp.ndarray x, Py_ssize_t first, Py_ssize_t last) noexcept:
    """Of the axes first <= axis < last."""
    cdef Py_ssize_t axis, number = 1
    for axis in range(first, last):
        number *= cnp.PyArray_DIM(x, <int> axis)
    return number


cdef bint is_in_columns(const fn_problem *p) noexcept nogil:
    cdef Py_ssize_t stretch = p.segments * p.run
    if p.statistic != FN_GIVEN and p.outer >= FN_ROW_OUTER and stretch <= FN_WIDE_STRETCH:
        return True
    return p.outer > 1 and stretch < FN_ROW_STRETCH


cdef void compute(const fn_problem *p) noexcept nogil:
    cdef Py_ssize_t stretch = p.segments * p.run, batch, first, step
    cdef uint64_t mode = fn_float_mode_enter()
    if not is_in_columns(p):
        kernels.rows[p.x_type][p.x_type](p, 0, p.batch * p.keep)
    else:
        step = p.keep if p.side > 1 else max(FN_TILE // stretch, <Py_ssize_t> 1)
        for batch in range(p.batch):
            first = 0
            while first < p.keep:
                kernels.columns[p.x_type][p.x_type](p, batch, first, min(first + step, p.keep))
                first += step
    fn_float_mode_leave(mode)


cdef void set_strides(fn_problem *p, fn_operand *operand, Py_ssize_t item) noexcept:
    operand.run = item
    operand.segments = p.run * operand.run
    operand.keep = p.segments * operand.segments
    operand.outer = p.keep * operand.keep
    operand.batch = p.outer * operand.outer


# The strides come as numbers of elements. Along a word of length 1 a parameter does not vary.
cdef void set_parameter(const fn_problem *p, object array, const fn_operand *strides, fn_operand *operand) noexcept:
    cdef Py_ssize_t item = 0 if array is None else cnp.PyArray_ITEMSIZE(<cnp.ndarray> array)
    operand.data = NULL if array is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> array)
    operand.batch = operand.run = 0
    operand.outer = item * strides.outer if p.outer > 1 else 0
    operand.keep = item * strides.keep if p.keep > 1 else 0
    operand.segments = item * strides.segments if p.segments > 1 else 0


cdef object answer(
    fn_problem *p,          # INOUT words, eps, statistic, mean and rstd are set; of weight strides in elements
    cnp.ndarray x,          # IN  C-contiguous, of x_type, not empty
    object weight,          # IN  or None
    object bias,            # IN  or None
    object out,             # OUT or None
    int x_type,
    Py_ssize_t length,      # IN  of weight and bias
):
    """The result, or None where weight, bias or out is not plain or shares memory with another."""
    cdef int type_number = cnp.PyArray_TYPE(x)
    cdef Py_ssize_t stretch = p.segments * p.run, width = stretch, bytes_moved = 2 * cnp.PyArray_NBYTES(x)
    cdef cnp.ndarray result
    if (weight is not None and not is_plain_parameter(weight, type_number, length)) or (
        bias is not None and not is_plain_parameter(bias, type_number, length)
    ):
        return None
    if out is None:
        result = <cnp.ndarray> cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), type_number, 0)
    elif is_safe_output(x, out, type_number, weight, bias):
        result = <cnp.ndarray> out
    else:
        return None
    p.side = 1
    if is_in_columns(p):
        width = p.keep * stretch
        p.side = min(max(FN_ROW_SIDE // width, <Py_ssize_t> 1), p.outer)
    p.x.data = <char *> cnp.PyArray_DATA(x)
    p.y.data = <char *> cnp.PyArray_DATA(result)
    set_strides(p, &p.x, cnp.PyArray_ITEMSIZE(x))
    set_strides(p, &p.y, cnp.PyArray_ITEMSIZE(x))
    set_parameter(p, bias, &p.weight, &p.bias)
    set_parameter(p, weight, &p.weight, &p.weight)
    p.m2 = NULL
    p.power = 0
    p.upper = INFINITY
    p.inverse_n = p.inverse_elements = fn_inverse(p.outer * stretch)
    p.stream = goes_past_caches(x, result, width * cnp.PyArray_ITEMSIZE(x))
    p.x_type = p.y_type = x_type
    if bytes_moved >= TEAM_BYTES:
        if is_in_columns(p):
            solve_columns(p, bytes_moved)
        else:
            solve_rows(p, bytes_moved)
    elif cnp.PyArray_SIZE(x) < GIL_ELEMENTS:
        compute(p)
    else:
        with nogil:
            compute(p)
    return result


def over_axis(object x, object weight, object bias, object axis, object eps, object out, int statistic):
    """A norm over one axis, or None."""
    cdef int x_type = plain_type(x)
    cdef Py_ssize_t place, length
    cdef fn_problem p
    if x_type < 0:
        return None
    place = axis_of(axis, cnp.PyArray_NDIM(<cnp.ndarray> x))
    p.eps = eps_of(eps)
    if place < 0 or p.eps < 0:
        return None
    length = cnp.PyArray_DIM(<cnp.ndarray> x, <int> place)
    p.batch = elements(x, 0, place)
    p.keep = elements(x, place + 1, cnp.PyArray_NDIM(<cnp.ndarray> x))
    p.outer, p.segments, p.run = length, 1, 1
    p.weight.outer, p.weight.keep, p.weight.segments = 1, 0, 1
    if p.keep == 1:
        p.batch, p.outer, p.keep, p.segments = 1, 1, p.batch, length
    p.statistic = statistic
    p.mean = p.rstd = NULL
    return answer(&p, x, weight, bias, out, x_type, length)


def over_channels(
    object x,
    object weight,          # IN  (C,), or None
    object bias,            # IN  likewise
    object num_groups,      # IN  or None: each channel
    object eps,
    object channel_axis,
    object out,
):
    """Group norm, or instance norm, or None."""
    cdef int x_type = plain_type(x)
    cdef Py_ssize_t axis, channels, groups
    cdef fn_problem p
    if x_type < 0:
        return None
    axis = axis_of(channel_axis, cnp.PyArray_NDIM(<cnp.ndarray> x))
    p.eps = eps_of(eps)
    if axis < 1 or p.eps < 0:
        return None
    channels = groups = cnp.PyArray_DIM(<cnp.ndarray> x, <int> axis)
    if num_groups is not None:
        groups = int_of(num_groups)
        if groups < 1 or channels % groups:
            return None
    p.batch = cnp.PyArray_DIM(<cnp.ndarray> x, 0)
    p.outer = elements(x, 1, axis)
    p.keep = groups
    p.segments = channels // groups
    p.run = elements(x, axis + 1, cnp.PyArray_NDIM(<cnp.ndarray> x))
    # What the canonical layout would see as other words, or expand the parameters for.
    if p.outer > 1 and (p.run > 1 or p.keep == 1):
        return None
    if p.segments > 1 and 1 < p.run < FN_SEGMENT and not (weight is None and bias is None):
        return None
    p.weight.outer, p.weight.keep, p.weight.segments = 0, p.segments, 1
    p.statistic = FN_CENTERED
    p.mean = p.rstd = NULL
    return answer(&p, x, weight, bias, out, x_type, channels)


cdef int type_of(object array) noexcept:
    return FN_F32 if cnp.PyArray_TYPE(<cnp.ndarray> array) == cnp.NPY_FLOAT32 else FN_F64


cdef bint is_running(object array, Py_ssize_t channels, object out) noexcept:
    return (
        (is_plain_parameter(array, cnp.NPY_FLOAT32, channels) or is_plain_parameter(array, cnp.NPY_FLOAT64, channels))
        and (not cnp.PyArray_CheckExact(out) or not overlaps(<cnp.ndarray> array, <cnp.ndarray> out))
    )


def by_running(
    object x,
    object running_mean,    # IN  (C,)
    object running_var,     # IN  (C,)
    object weight,          # IN  (C,), or None
    object bias,            # IN  likewise
    object eps,
    object channel_axis,
    object out,
):
    """Batch norm by running statistics, or None."""
    cdef int x_type = plain_type(x)
    cdef Py_ssize_t axis, statistics, start
    cdef fn_problem p
    cdef uint64_t mode
    if x_type < 0:
        return None
    axis = axis_of(channel_axis, cnp.PyArray_NDIM(<cnp.ndarray> x))
    p.eps = eps_of(eps)
    if axis < 0 or p.eps < 0:
        return None
    p.batch, p.segments = 1, 1
    p.outer = elements(x, 0, axis)
    p.keep = cnp.PyArray_DIM(<cnp.ndarray> x, <int> axis)
    p.run = elements(x, axis + 1, cnp.PyArray_NDIM(<cnp.ndarray> x))
    if not (is_running(running_mean, p.keep, out) and is_running(running_var, p.keep, out)):
        return None
    p.statistic = FN_GIVEN
    # Nothing is summed: walk x as it lies, but for short planes, whose maps many samples then share.
    if not is_in_columns(&p) and fn_stretch_group(&p) < SHARED_MAPS:
        p.batch, p.outer = p.outer, 1
    statistics = p.batch * p.keep
    p.weight.outer, p.weight.keep, p.weight.segments = 0, 1, 0
    p.mean = <double *> malloc(2 * statistics * sizeof(double))
    if p.mean == NULL:
        raise MemoryError(f"fastnorm needs {2 * statistics * sizeof(double)} bytes of scratch")
    try:
        p.rstd = p.mean + statistics
        mode = fn_float_mode_enter()
        kernels.running(
            p.keep, cnp.PyArray_DATA(<cnp.ndarray> running_mean), type_of(running_mean),
            cnp.PyArray_DATA(<cnp.ndarray> running_var), type_of(running_var), p.eps, p.mean, p.rstd
        )
        fn_float_mode_leave(mode)
        for start in range(p.keep, statistics, p.keep):
            memcpy(p.mean + start, p.mean, p.keep * sizeof(double))
            memcpy(p.rstd + start, p.rstd, p.keep * sizeof(double))
        return answer(&p, x, weight, bias, out, x_type, p.keep)
    finally:
        free(p.mean)
