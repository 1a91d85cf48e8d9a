from fastnorm._kernels.problem cimport fn_problem

# As solve_rows, of statistics side by side.
cdef int solve_columns(const fn_problem *p, Py_ssize_t bytes_moved) except -1
