# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Arrays as the canonical problem sees them: the same memory with explicit sizes and strides, nothing copied.

`reshape` would copy where it cannot describe the result, and what is then written to the copy is lost; NumPy's
`as_strided` says it without copying, but takes longer than a small norm.
"""
cimport numpy as cnp
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int16_t, uint16_t

from fastnorm._kernels.isa cimport has_hypervisor, last_level_cache
from fastnorm._kernels.problem cimport (
    FN_BF16,
    FN_CACHED,
    FN_CENTERED,
    FN_CLOSE,
    FN_EXTREMES,
    FN_F16,
    FN_F32,
    FN_F64,
    FN_FAR,
    FN_GIVEN,
    FN_LINE,
    FN_NORM_1,
    FN_NORM_2,
    FN_NORM_LARGEST,
    FN_NORM_POWER,
    FN_NORM_SMALLEST,
    FN_PAGE,
    FN_PAST,
    FN_PAST_JOINED,
    FN_ROW_OUTER,
    FN_ROW_SIDE,
    FN_ROW_STRETCH,
    FN_SEGMENT,
    FN_SQUARES,
    FN_STANDARDIZED,
    FN_UNCENTERED,
    FN_WIDE_STRETCH,
    fn_inverse,
    fn_operand,
    fn_problem,
)

cnp.import_array()

F32, F64, F16, BF16 = FN_F32, FN_F64, FN_F16, FN_BF16
ROW_STRETCH, ROW_SIDE, SEGMENT = FN_ROW_STRETCH, FN_ROW_SIDE, FN_SEGMENT
ROW_OUTER, WIDE_STRETCH = FN_ROW_OUTER, FN_WIDE_STRETCH
CENTERED, UNCENTERED, SQUARES, STANDARDIZED, GIVEN = (
    FN_CENTERED, FN_UNCENTERED, FN_SQUARES, FN_STANDARDIZED, FN_GIVEN
)

NORM_1, NORM_2, NORM_LARGEST, NORM_SMALLEST, NORM_POWER, EXTREMES = (
    FN_NORM_1, FN_NORM_2, FN_NORM_LARGEST, FN_NORM_SMALLEST, FN_NORM_POWER, FN_EXTREMES
)


def assign(tuple arrays, list values) -> None:
    """Set each array's elements, and let no signal's handler run in between."""
    for array, value in zip(arrays, values):
        array[...] = value


ctypedef fused element:
    float
    double
    uint16_t
    int16_t

cdef extern from "pages.h" nogil:
    bint fn_has_page(const char *address)

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


cdef Py_ssize_t CLIENTS_CACHE = 36 << 20  # last-level caches beyond this are servers', of dozens of processors

# Results this large are gone from the cache before anyone reads them, so they are written past it: of 3/4 of the
# last-level cache; where a virtual machine shares it with others 1/3, or 1/8 of a server's; and never more than 32 MB.
# Time of writing past the cache over writing through it, on such machines, one thread: where 480 MB are reported, 1.2
# at 16 MB, 1.0 at 32, 0.7 at 45; where 48 MB are, 1.0 at 4 MB, 0.86 at 5, 0.7 at 8, 0.77 at 12; where 32 MB are, 1.2 at
# 6 MB, 1.0 at 8, 0.6 at 12 (with two threads 1.9, 1.6 and 0.65).
cdef Py_ssize_t STREAM_BYTES = min(
    (last_level_cache // 8 if last_level_cache > CLIENTS_CACHE else last_level_cache // 3) if has_hypervisor
    else 3 * last_level_cache // 4,
    32 << 20,
) or 32 << 20

# Results so small lie in the second-level cache with their data: nothing has to be fetched ahead. Of the time, float32
# with one thread: 64 columns 0.95 to 0.96, 768 columns 0.93 to 0.96.
cdef Py_ssize_t CLOSE_BYTES = 256 * 1024

# Results of 16-bit types leave half a line at a time: that gains nothing below this, and loses where the other half is
# not written past the cache (0.8 to 1.3 times, by where y starts in a line).
cdef Py_ssize_t STREAM_BYTES_16 = 32 << 20

# Where stretches start inside a cache line, each shares one with another, which has to be read to be written. The same
# times for rows of 64, 128, 256 and 512 float32: 1.24, 1.03, 0.87 and 0.83. Shorter ones go past the cache only where
# they are joined: planes of 196 0.72, 50 columns 0.8.
cdef Py_ssize_t STREAM_STRETCH = 1024

# Where y starts so few bytes behind x in their pages, the processor takes each load for one of what was just written,
# and waits until that has left for memory: of float16 7 times as long.
cdef Py_ssize_t STREAM_LAG = 128


cdef int goes_past_caches(
    cnp.ndarray x,
    cnp.ndarray y,
    Py_ssize_t stretch,     # IN  bytes of y that are written in one go
) noexcept:
    """FN_CLOSE ...: what caches hold y, and whether to write it past them.

    Not where the system has yet to provide its memory: that is zeroed page by page just before we write, which leaves
    it in the cache (1.4 times as long past it).
    """
    cdef const char *last = <const char *> cnp.PyArray_DATA(y)
    cdef Py_ssize_t stride, misaligned = <Py_ssize_t> last | stretch
    cdef Py_ssize_t lag = (<Py_ssize_t> last - <Py_ssize_t> cnp.PyArray_DATA(x)) & (FN_PAGE - 1)
    cdef Py_ssize_t least = STREAM_BYTES_16 if cnp.PyArray_ITEMSIZE(y) == 2 else STREAM_BYTES
    cdef int axis
    if cnp.PyArray_NBYTES(y) < least:
        return FN_CLOSE if cnp.PyArray_NBYTES(y) <= CLOSE_BYTES else FN_CACHED
    if cnp.PyArray_DATA(x) == cnp.PyArray_DATA(y) or 0 < lag <= STREAM_LAG:
        return FN_FAR
    for axis in range(cnp.PyArray_NDIM(y)):
        stride = cnp.PyArray_STRIDE(y, axis)
        last += (cnp.PyArray_DIM(y, axis) - 1) * stride
        if stride >= stretch or stride <= -stretch:
            misaligned |= stride
    if not fn_has_page(last):
        return FN_FAR
    return FN_PAST if stretch >= STREAM_STRETCH or misaligned % FN_LINE == 0 else FN_PAST_JOINED


cdef Py_ssize_t size_of(int element_type) noexcept:
    return 8 if element_type == FN_F64 else 4 if element_type == FN_F32 else 2


cdef Py_ssize_t bytes_of(
    cnp.ndarray x,
    cnp.ndarray y,          # IN  or None
) noexcept:
    """What a call reads and writes."""
    return cnp.PyArray_NBYTES(x) + (0 if y is None else cnp.PyArray_NBYTES(y))


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
    bint in_columns,                # IN  keep is contiguous with segments and run, and written in one go with them
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
    p.stream = FN_CLOSE if cnp.PyArray_NBYTES(x) <= CLOSE_BYTES else FN_CACHED
    if y is not None and not (in_columns and cnp.PyArray_ITEMSIZE(y) == 2):  # rows of half lines take 1 to 2 times
        p.stream = goes_past_caches(
            x, y, (p.keep if in_columns else 1) * p.segments * p.run * cnp.PyArray_ITEMSIZE(y)
        )
        if statistic == FN_EXTREMES and p.stream == FN_PAST:
            p.stream = FN_PAST_JOINED  # else the results are read once more, to be cut off
    return 0
