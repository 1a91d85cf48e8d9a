from fastnorm._kernels.problem cimport fn_problem

cdef Py_ssize_t STREAM_BYTES  # results this large are written past the caches, if their pages are not new

cdef int fill_problem(
    fn_problem *p, object x, object y, object weight, object bias, object mean, object rstd, object m2,
    int x_type, int y_type, double eps, Py_ssize_t ddof, int statistic,
    double power, double upper, bint y_is_new,
) except -1
