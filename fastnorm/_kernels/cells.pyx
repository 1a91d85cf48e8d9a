# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The end of a recurrent cell: layer norm of each row and the activation while it is in the cache, on all threads."""
cimport numpy as cnp

from fastnorm._kernels.isa cimport kernels
from fastnorm._kernels.problem cimport (
    FN_CENTERED,
    FN_F64,
    FN_LINEAR,
    FN_RELU,
    FN_SIGMOID,
    FN_TANH,
    fn_operand,
    fn_problem,
)
from fastnorm._kernels.tasks cimport run, team_for

cnp.import_array()

ACTIVATIONS = {"identity": FN_LINEAR, "relu": FN_RELU, "sigmoid": FN_SIGMOID, "tanh": FN_TANH}

cdef Py_ssize_t TASK_BYTES = 128 * 1024


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


cdef fn_operand vector(object array, Py_ssize_t length) noexcept:
    cdef fn_operand operand
    operand.data = NULL if array is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> array)
    operand.batch = operand.outer = operand.keep = operand.run = 0
    operand.segments = 0 if array is None or length == 1 else cnp.PyArray_ITEMSIZE(<cnp.ndarray> array)
    return operand


def finish(
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
    cdef Py_ssize_t row_bytes = length * cnp.PyArray_ITEMSIZE(a)
    p.batch = p.outer = p.run = 1
    p.keep = cnp.PyArray_SIZE(a) // length
    p.segments = length
    p.x.data = p.y.data = <char *> cnp.PyArray_DATA(a)
    p.x.batch = p.y.batch = p.x.outer = p.y.outer = 0
    p.x.keep = p.y.keep = row_bytes
    p.weight = vector(gain, length)
    p.bias = vector(bias, length)
    p.mean = p.rstd = p.m2 = NULL
    p.eps = eps
    p.inverse_n = p.inverse_elements = 1.0 / <double> length
    p.statistic = FN_CENTERED
    p.side = 1
    p.stream = 0
    p.x_type = p.y_type = x_type
    c.problem = &p
    c.y = <char *> cnp.PyArray_DATA(y)
    c.y_row = length * cnp.PyArray_ITEMSIZE(y)
    c.y_type = y_type
    c.is_f64 = x_type == FN_F64
    c.activation = activation
    c.rows_per_task = max(TASK_BYTES // (2 * row_bytes), <Py_ssize_t> 1)
    with nogil:
        run(cell_task, &c, (p.keep + c.rows_per_task - 1) // c.rows_per_task, team_for(2 * p.keep * row_bytes))
