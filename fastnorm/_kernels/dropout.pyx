"""Dropout's memory and threads: contiguous elements, numbered from any place in the whole array.

An element's fate depends on its number alone, so how the elements are cut into tasks shows in no bit.
"""
cimport numpy as cnp
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport FN_F64, FN_GROUP, FN_PAST, fn_dropout
from fastnorm._kernels.tasks cimport run, team_for
from fastnorm._kernels.views cimport goes_past_caches

cnp.import_array()

cdef Py_ssize_t TASK_ELEMENTS = 256 * FN_GROUP  # some 10 us of work
# In the caches the random bits take the time, not the data: as long as moving so many bytes for each element.
cdef Py_ssize_t WORK_BYTES = 16


cdef struct dropout_context:
    const fn_dropout *problem
    Py_ssize_t elements


cdef void dropout_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef dropout_context *c = <dropout_context *> context
    cdef const fn_dropout *p = c.problem
    cdef Py_ssize_t first = index * TASK_ELEMENTS
    kernels.dropout[p.x_type == FN_F64 or p.y_type == FN_F64](p, first, min(first + TASK_ELEMENTS, c.elements))


def dropout(
    cnp.ndarray x not None,         # IN  contiguous
    cnp.ndarray y not None,         # OUT likewise, of as many elements; x itself, or memory that x does not touch
    cnp.ndarray mask,               # OUT uint8 or bool, likewise, or None
    uint64_t number,                # IN  of x's first element in the C order of the whole array
    uint64_t key,
    uint32_t threshold,
    double high,                    # IN  high + low = 1 / (1 - p), high a value of the arithmetic type
    double low,
    int x_type,
    int y_type,
) -> None:
    """Drop some elements and scale the others; float16 and bfloat16 are told apart by the types alone."""
    cdef fn_dropout p
    cdef dropout_context c
    cdef int threads
    p.x = <const char *> cnp.PyArray_DATA(x)
    p.y = <char *> cnp.PyArray_DATA(y)
    p.mask = NULL if mask is None else <uint8_t *> cnp.PyArray_DATA(mask)
    p.number = number
    p.key = key
    p.threshold = threshold
    p.high = high
    p.low = low
    p.stream = goes_past_caches(x, y, cnp.PyArray_NBYTES(y)) == FN_PAST
    p.x_type = x_type
    p.y_type = y_type
    c.problem = &p
    c.elements = cnp.PyArray_SIZE(x)
    threads = team_for(WORK_BYTES * c.elements)
    with nogil:
        run(dropout_task, &c, (c.elements + TASK_ELEMENTS - 1) // TASK_ELEMENTS, threads)
