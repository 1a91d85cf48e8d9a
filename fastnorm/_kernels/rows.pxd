from fastnorm._kernels.problem cimport fn_problem

# Every statistic of the problem and what it maps, by as many threads as `bytes_moved` bytes are worth.
cdef int solve_rows(const fn_problem *p, Py_ssize_t bytes_moved) except -1
