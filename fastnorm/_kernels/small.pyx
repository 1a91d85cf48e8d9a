"""The plain small call: answered without a memoryview, OpenMP, or, below 16 Ki elements, releasing the GIL.

At this size each of those costs as much as the arithmetic. The rows kernel's C functions do the work, so that the bits
are those of every other way.
"""
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport uint64_t

from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport FN_F32, FN_F64, fn_float_mode_enter, fn_float_mode_leave, fn_inverse, fn_problem
from fastnorm._kernels.tasks cimport TEAM_BYTES

cnp.import_array()

cdef Py_ssize_t GIL_ELEMENTS = 16 * 1024


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

    p.batch = p.outer = p.run = p.side = 1
    p.keep = size // length
    p.segments = length
    p.x.data = <char *> cnp.PyArray_DATA(array)
    p.y.data = <char *> cnp.PyArray_DATA(result)
    p.x.batch = p.y.batch = p.x.outer = p.y.outer = 0
    p.x.keep = p.y.keep = length * cnp.PyArray_ITEMSIZE(array)
    p.weight.data = NULL if weight is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> weight)
    p.bias.data = NULL if bias is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> bias)
    p.weight.batch = p.weight.outer = p.weight.keep = p.bias.batch = p.bias.outer = p.bias.keep = 0
    p.weight.segments = p.bias.segments = 0 if length == 1 else cnp.PyArray_ITEMSIZE(array)
    p.mean = p.rstd = p.m2 = NULL
    p.eps = eps_value
    p.power = 0
    p.upper = INFINITY
    p.inverse_n = p.inverse_elements = fn_inverse(length)
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
