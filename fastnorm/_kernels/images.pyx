# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The image kernel's memory and threads: an image's strides in every order, its maps, and tasks of spans of pixels."""
cimport numpy as cnp
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport (
    FN_F64,
    FN_LINE,
    FN_PAST,
    FN_SPAN,
    FN_U8,
    fn_float_mode_enter,
    fn_float_mode_leave,
    fn_fold,
    fn_given,
    fn_image,
    fn_map,
    fn_pixels,
    fn_spans_of_row,
    fn_statistic,
)
from fastnorm._kernels.tasks cimport run, team_for
from fastnorm._kernels.views cimport goes_past_caches

cnp.import_array()

U8 = FN_U8

cdef Py_ssize_t TASK_BYTES = 128 * 1024  # read and written by one task


cdef struct image_context:
    const fn_image *image
    Py_ssize_t spans, spans_per_task


cdef void image_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef image_context *c = <image_context *> context
    cdef Py_ssize_t first = index * c.spans_per_task
    kernels.image(c.image, first, min(first + c.spans_per_task, c.spans))


cdef void describe(
    cnp.ndarray array,      # IN  [images,] rows, pixels, channels, or [images,] channels, rows, pixels
    bint planes,            # IN  the latter
    fn_pixels *pixels,      # OUT
) noexcept:
    cdef int first = cnp.PyArray_NDIM(array) - 3
    pixels.data = <char *> cnp.PyArray_DATA(array)
    pixels.image = cnp.PyArray_STRIDE(array, 0) if first else 0
    pixels.channel = cnp.PyArray_STRIDE(array, first if planes else first + 2)
    pixels.row = cnp.PyArray_STRIDE(array, first + planes)
    pixels.pixel = cnp.PyArray_STRIDE(array, first + planes + 1)
    pixels.size = <int> cnp.PyArray_ITEMSIZE(array)
    pixels.swapped = cnp.PyArray_ISBYTESWAPPED(array)
    pixels.plain = cnp.PyArray_ISBEHAVED_RO(array)


# Rows without a gap between them, in x and y, are one row, and so are images: fewer spans that are not whole.
cdef void join_rows(fn_image *p) noexcept:
    if p.pixels == 1:
        p.x.pixel, p.y.pixel = p.x.row, p.y.row
    elif p.rows > 1 and (p.x.row != p.pixels * p.x.pixel or p.y.row != p.pixels * p.y.pixel):
        return
    p.pixels *= p.rows
    p.rows = 1
    if p.images == 1 or (p.x.image == p.pixels * p.x.pixel and p.y.image == p.pixels * p.y.pixel):
        p.pixels *= p.images
        p.images = 1


def normalize(
    cnp.ndarray x,          # IN  [images,] rows, pixels, channels, none of them 0
    cnp.ndarray y,          # OUT the same, or with the channels before the rows; x itself or apart
    list means,             # IN  of each channel, in units of x
    list factors,           # IN  likewise: 1 / std
    bint planes,            # IN  y's channels come before its rows
    int x_type,
    int y_type,
) -> None:
    """(x - mean) * factor, rounded once, for images of any strides, alignment and byte order."""
    cdef fn_image p
    cdef image_context c
    cdef fn_statistic statistic
    cdef Py_ssize_t bytes_moved = cnp.PyArray_NBYTES(x) + cnp.PyArray_NBYTES(y), channel, first
    cdef int is_f64 = x_type == FN_F64 or y_type == FN_F64, threads = team_for(bytes_moved)
    cdef fn_map *maps
    cdef uint64_t mode
    describe(x, False, &p.x)
    describe(y, planes, &p.y)
    first = cnp.PyArray_NDIM(x) - 3
    p.images = cnp.PyArray_DIM(x, 0) if first else 1
    p.rows = cnp.PyArray_DIM(x, first)
    p.pixels = cnp.PyArray_DIM(x, first + 1)
    p.channels = cnp.PyArray_DIM(x, first + 2)
    join_rows(&p)
    p.x_type = x_type
    p.y_type = y_type
    p.stream = not (planes and p.y.channel % FN_LINE) and goes_past_caches(
        x, y, min(p.pixels, <Py_ssize_t> FN_SPAN) * (p.y.size if planes else p.channels * p.y.size)
    ) == FN_PAST
    maps = <fn_map *> malloc(p.channels * sizeof(fn_map))
    if maps == NULL:
        raise MemoryError(f"fastnorm needs {p.channels * sizeof(fn_map)} bytes of scratch")
    mode = fn_float_mode_enter()  # the maps are made here, outside any task
    try:
        for channel in range(p.channels):
            fn_given(means[channel], factors[channel], is_f64, &statistic)
            maps[channel] = fn_fold(&statistic, 1.0, -0.0, is_f64)
        p.maps = maps
        c.image = &p
        c.spans = p.images * p.rows * fn_spans_of_row(&p)
        c.spans_per_task = max(TASK_BYTES // max(bytes_moved // c.spans, <Py_ssize_t> 1), <Py_ssize_t> 1)
        with nogil:
            run(image_task, &c, (c.spans + c.spans_per_task - 1) // c.spans_per_task, threads)
    finally:
        fn_float_mode_leave(mode)
        free(maps)
