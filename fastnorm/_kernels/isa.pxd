from fastnorm._kernels.problem cimport fn_kernels

cdef const fn_kernels *kernels
cdef Py_ssize_t last_level_cache  # bytes, 0 where unknown
cdef bint has_hypervisor
