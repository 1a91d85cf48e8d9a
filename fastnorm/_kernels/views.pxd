cimport numpy as cnp

from fastnorm._kernels.problem cimport fn_problem

cdef Py_ssize_t size_of(int element_type) noexcept
cdef Py_ssize_t bytes_of(cnp.ndarray x, cnp.ndarray y) noexcept
cdef int goes_past_caches(cnp.ndarray x, cnp.ndarray y, Py_ssize_t stretch) noexcept

cdef int fill_problem(
    fn_problem *p, object x, object y, object weight, object bias, object mean, object rstd, object m2,
    int x_type, int y_type, double eps, Py_ssize_t ddof, int statistic,
    double power, double upper, bint in_columns,
) except -1
