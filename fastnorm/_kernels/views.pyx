# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Arrays as the canonical problem sees them: the same memory with explicit sizes and strides, nothing copied.

`reshape` would copy where it cannot describe the result, and what is then written to the copy is lost; NumPy's
`as_strided` says it without copying, but takes longer than a small norm.
"""
cimport numpy as cnp
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int16_t, uint16_t

from fastnorm._kernels.isa cimport last_level_cache
from fastnorm._kernels.problem cimport (
    FN_BF16,
    FN_CENTERED,
    FN_EXTREMES,
    FN_F16,
    FN_F32,
    FN_F64,
    FN_GIVEN,
    FN_NORM_1,
    FN_NORM_2,
    FN_NORM_LARGEST,
    FN_NORM_POWER,
    FN_NORM_SMALLEST,
    FN_ROW_SIDE,
    FN_ROW_STRETCH,
    FN_SEGMENT,
    FN_SQUARES,
    FN_STANDARDIZED,
    FN_UNCENTERED,
    fn_inverse,
    fn_operand,
    fn_problem,
)

cnp.import_array()

F32, F64, F16, BF16 = FN_F32, FN_F64, FN_F16, FN_BF16
ROW_STRETCH, ROW_SIDE, SEGMENT = FN_ROW_STRETCH, FN_ROW_SIDE, FN_SEGMENT
CENTERED, UNCENTERED, SQUARES, STANDARDIZED, GIVEN = (
    FN_CENTERED, FN_UNCENTERED, FN_SQUARES, FN_STANDARDIZED, FN_GIVEN
)

NORM_1, NORM_2, NORM_LARGEST, NORM_SMALLEST, NORM_POWER, EXTREMES = (
    FN_NORM_1, FN_NORM_2, FN_NORM_LARGEST, FN_NORM_SMALLEST, FN_NORM_POWER, FN_EXTREMES
)

# Results this large are gone from the cache before anyone reads them, so they are written past it. The smaller of 3/4
# of the last-level cache and 32 MB: servers report hundreds of MB of which one process keeps a share (measured where
# 480 MB are reported: writing past the cache took 1.2 times as long at 16 MB, 1.0 at 32 MB, 0.7 at 45 MB). Not so for
# memory that the system has yet to provide: it is zeroed page by page just before we write, which leaves it in the
# cache (1.4 times as long).
STREAM_BYTES = min(3 * last_level_cache // 4 or 32 << 20, 32 << 20)


def assign(tuple arrays, list values) -> None:
    """Set each array's elements, and let no signal's handler run in between."""
    for array, value in zip(arrays, values):
        array[...] = value


ctypedef fused element:
    float
    double
    uint16_t
    int16_t

cdef extern from "numpy/arrayobject.h":
    int PyArray_SetBaseObject(cnp.ndarray array, object base) except -1


def view(cnp.ndarray array, tuple sizes, tuple strides) -> cnp.ndarray:
    """The memory of `array` from its first element on, as five words; 16-bit floats as integers of either sign."""
    cdef cnp.npy_intp dims[5]
    cdef cnp.npy_intp steps[5]
    cdef int word, type_number = cnp.PyArray_TYPE(array)
    cdef cnp.ndarray words
    for word in range(5):
        dims[word] = sizes[word]
        steps[word] = strides[word]
    if cnp.PyArray_ITEMSIZE(array) == 2:  # bfloat16 has no number of its own
        type_number = cnp.NPY_UINT16 if type_number == cnp.NPY_FLOAT16 else cnp.NPY_INT16
    words = cnp.PyArray_New(
        cnp.ndarray, 5, dims, type_number, steps, cnp.PyArray_DATA(array), 0,
        cnp.NPY_ARRAY_WRITEABLE if cnp.PyArray_ISWRITEABLE(array) else 0, <object> NULL,
    )
    Py_INCREF(array)  # PyArray_SetBaseObject steals a reference
    PyArray_SetBaseObject(words, array)
    return words


# Along a word of length 1 the stride is 0, which for a parameter means that it does not vary: of a contiguous array
# NumPy exports others there than it was given.
cdef void fill_operand(const element[:, :, :, :, :] view, fn_operand *operand) noexcept:
    operand.data = <char *> &view[0, 0, 0, 0, 0]
    operand.batch = view.strides[0] if view.shape[0] > 1 else 0
    operand.outer = view.strides[1] if view.shape[1] > 1 else 0
    operand.keep = view.strides[2] if view.shape[2] > 1 else 0
    operand.segments = view.strides[3] if view.shape[3] > 1 else 0
    operand.run = view.strides[4] if view.shape[4] > 1 else 0


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


cdef double *first_double(
    double[::1] array,      # IN  or None
) except? NULL:
    return NULL if array is None else &array[0]


# Arrays arrive as objects and become memoryviews here alone: the code for those is larger than a module's own.
cdef int fill_problem(
    fn_problem *p,                  # OUT
    object x,                       # IN  [batch, outer, keep, segments, run]
    object y,                       # IN  the same shape; x itself, or memory that x does not touch; or None
    object weight,                  # IN  the same rank in the arithmetic type, or None
    object bias,                    # IN  likewise
    object mean,                    # IN  [batch * keep], or None
    object rstd,                    # IN  likewise
    object m2,                      # IN  likewise
    int x_type,
    int y_type,
    double eps,
    Py_ssize_t ddof,                # IN  less than the elements of a statistic
    int statistic,
    double power,
    double upper,
    bint y_is_new,                  # IN  its pages were not written yet
) except -1:
    cdef int arithmetic = FN_F64 if x_type == FN_F64 or y_type == FN_F64 else FN_F32
    cdef Py_ssize_t elements
    p.batch, p.outer, p.keep, p.segments, p.run = x.shape
    elements = p.outer * p.segments * p.run
    describe(x, x_type, &p.x)
    describe(y, y_type, &p.y)
    describe(weight, arithmetic, &p.weight)
    describe(bias, arithmetic, &p.bias)
    p.mean = first_double(mean)
    p.rstd = first_double(rstd)
    p.m2 = first_double(m2)
    p.eps = eps
    p.inverse_elements = fn_inverse(elements)
    p.inverse_n = fn_inverse(elements - ddof)
    p.power = power
    p.upper = upper
    p.statistic = statistic
    p.side = 1
    p.x_type = x_type
    p.y_type = y_type
    p.stream = (
        y is not None
        and not y_is_new
        and statistic != FN_EXTREMES  # whose results are read once more, to be cut off
        and p.x.data != p.y.data
        and cnp.PyArray_NBYTES(<cnp.ndarray> y) >= STREAM_BYTES
    )
    return 0
