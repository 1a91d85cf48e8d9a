ctypedef void (*task_t)(void *context, Py_ssize_t index) noexcept nogil

cdef Py_ssize_t TEAM_BYTES  # below this a call takes one thread

cdef int run(task_t task, void *context, Py_ssize_t n_tasks, int threads) except -1 nogil
cdef int team_for(Py_ssize_t bytes_moved) noexcept nogil
