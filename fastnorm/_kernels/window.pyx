# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Local response norm's memory and threads: units of work, each task with scratch of its own.

A unit is a tile of positions with all of their channels, or, where channels are contiguous, one position.
"""
cimport numpy as cnp
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.stdlib cimport free, malloc

from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport (
    FN_F64,
    FN_IDENTITY,
    FN_PAST,
    FN_POWER,
    FN_ROOT,
    FN_ROOT_AND_ITS_ROOT,
    FN_WINDOW_BLOCK,
    fn_window_problem,
    fn_window_scratch,
    fn_window_tiles,
)
from fastnorm._kernels.tasks cimport run, team_for
from fastnorm._kernels.views cimport goes_past_caches

cnp.import_array()

# The squares of 5 channels and a row of x and y stay in the first-level cache; those of wider windows in the second.
cdef Py_ssize_t ROW_BYTES = 4 * 1024
cdef Py_ssize_t SQUARES_BYTES = 64 * 1024
cdef Py_ssize_t TASKS_PER_THREAD = 4
cdef Py_ssize_t LONG_BYTES = 64 << 20   # read and written: signals are handled between tasks
cdef Py_ssize_t MOST_TASKS = 64         # for one thread; each has scratch
cdef Py_ssize_t POWER_COST = 8          # a logarithm and an exponential take so many times what moving the data takes


cdef struct window_context:
    const fn_window_problem *problem
    Py_ssize_t units, units_per_task, scratch_bytes
    char *scratch
    int is_f64


cdef void window_task(void *context, Py_ssize_t index) noexcept nogil:
    cdef window_context *c = <window_context *> context
    cdef Py_ssize_t first = index * c.units_per_task
    kernels.window[c.is_f64](
        c.problem, first, min(first + c.units_per_task, c.units), c.scratch + index * c.scratch_bytes
    )


# As many equal tiles as needed, of whole vectors.
cdef Py_ssize_t tile_of(Py_ssize_t length, Py_ssize_t most) noexcept:
    cdef Py_ssize_t tiles = (length + most - 1) // most
    return ((length + tiles - 1) // tiles + FN_WINDOW_BLOCK - 1) // FN_WINDOW_BLOCK * FN_WINDOW_BLOCK


def respond(
    cnp.ndarray x,
    cnp.ndarray y,          # OUT x's shape; x itself, or memory that x does not touch
    tuple sizes,            # IN  outer, channels, inner
    tuple x_strides,        # IN  along these, in bytes; inner contiguous, or of length 1 with contiguous channels
    tuple y_strides,        # IN  likewise
    int x_type,
    int y_type,
    Py_ssize_t before,      # IN  channels in the window on either side, below the number of channels
    Py_ssize_t after,
    double scale,
    double beta,
    double k,
) -> None:
    """Divide each element by (k + scale * sum of squares in its window) ** beta."""
    cdef fn_window_problem p
    cdef window_context c
    cdef Py_ssize_t bytes_moved = cnp.PyArray_NBYTES(x) + cnp.PyArray_NBYTES(y), tasks, itemsize, row_bytes, stretch
    cdef int threads
    p.outer, p.channels, p.inner = sizes
    p.x_outer, p.x_channel, p.x_inner = x_strides
    p.y_outer, p.y_channel, p.y_inner = y_strides
    p.x = <char *> cnp.PyArray_DATA(x)
    p.y = <char *> cnp.PyArray_DATA(y)
    p.before = before
    p.after = after
    p.scale = scale
    p.beta = beta
    p.k = k
    p.power = (
        FN_IDENTITY if beta == 1 else FN_ROOT if beta == 0.5 else FN_ROOT_AND_ITS_ROOT if beta == 0.75 else FN_POWER
    )
    threads = team_for(bytes_moved * (POWER_COST if p.power == FN_POWER else 1))
    p.x_type = x_type
    p.y_type = y_type
    c.problem = &p
    c.is_f64 = x_type == FN_F64 or y_type == FN_F64
    itemsize = 8 if c.is_f64 else 4
    if p.inner > 1:
        row_bytes = min(ROW_BYTES, SQUARES_BYTES // (before + after + 1))
        p.tile = tile_of(p.inner, max(row_bytes // itemsize, <Py_ssize_t> FN_WINDOW_BLOCK))
    else:
        p.tile = tile_of(p.channels, ROW_BYTES // itemsize)
    stretch = (min(p.tile, p.inner) if p.inner > 1 else p.channels) * cnp.PyArray_ITEMSIZE(y)
    p.stream = goes_past_caches(x, y, stretch) == FN_PAST
    c.units = p.outer * fn_window_tiles(&p)
    tasks = TASKS_PER_THREAD * threads if threads > 1 else 1
    tasks = min(c.units, max(tasks, min(bytes_moved // LONG_BYTES * (before + after + 1), MOST_TASKS)))
    c.units_per_task = (c.units + tasks - 1) // tasks
    tasks = (c.units + c.units_per_task - 1) // c.units_per_task
    # Rows of squares are the larger the wider the window: where an address has 32 bits, more than can be counted.
    if p.inner > 1 and (<double> before + <double> after + 4) * p.tile * itemsize * tasks >= <double> PY_SSIZE_T_MAX:
        raise MemoryError("fastnorm needs more scratch than there are addresses")
    # A cache line more for each, which no other thread then writes.
    c.scratch_bytes = (fn_window_scratch(&p) * itemsize // 64 + 1) * 64
    c.scratch = <char *> malloc(tasks * c.scratch_bytes)
    if c.scratch == NULL:
        raise MemoryError(f"fastnorm needs {tasks * c.scratch_bytes} bytes of scratch")
    try:
        with nogil:
            run(window_task, &c, tasks, threads)
    finally:
        free(c.scratch)
