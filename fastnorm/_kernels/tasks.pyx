"""The one parallel loop, and how many threads may enter it.

Every kernel cuts its work into tasks by the problem's shape alone and hands them to `run`; so the number of threads
decides who does a task, never what a task is, and the bits do not change. The limit is passed to each loop:
`omp_set_num_threads` would change it for every other user of the process's OpenMP.
"""
from cython.parallel cimport parallel
from libc.stdint cimport int64_t, uint64_t

from fastnorm._kernels.problem cimport fn_float_mode_enter, fn_float_mode_leave


cdef extern from "team.h" nogil:
    const int FN_OPENMP
    int fn_thread_limit
    int fn_forked
    int fn_watch_fork()
    int omp_get_max_threads()
    int omp_get_num_threads()
    int omp_get_thread_num()
    bint omp_in_parallel()

cdef extern from "share.h" nogil:
    ctypedef struct fn_share:
        int64_t lost
    void fn_share_out(fn_share *share, Py_ssize_t tasks, int threads)
    Py_ssize_t fn_take(fn_share *share, int me)
    void fn_meet(fn_share *share, int threads, int64_t cpu_start)
    int64_t fn_cpu_ns()
    bint fn_resting()
    void fn_rest_after(int64_t lost)


# A team costs up to 50 us to wake (passive waiting), so it must have more work than that: 2 MB moved in the last-level
# cache takes one thread about 80 us. Each thread then gets at least half of it.
TEAM_BYTES = 2 << 20
cdef Py_ssize_t BYTES_PER_THREAD = 1 << 20

cdef int process_limit = 1
cdef bint is_default = True  # nobody has asked for process_limit
cdef int omp_threads_at_import = omp_get_max_threads()


cdef void guarded(task_t task, void *context, Py_ssize_t index) noexcept nogil:
    cdef uint64_t mode = fn_float_mode_enter()
    task(context, index)
    fn_float_mode_leave(mode)


cdef void take_part(task_t task, void *context, fn_share *share) noexcept nogil:
    cdef int me = omp_get_thread_num()
    cdef int64_t cpu_start = fn_cpu_ns()
    cdef Py_ssize_t index = fn_take(share, me)
    while index >= 0:
        guarded(task, context, index)
        index = fn_take(share, me)
    fn_meet(share, omp_get_num_threads(), cpu_start)


cdef void run(task_t task, void *context, Py_ssize_t n_tasks, int threads) noexcept nogil:
    """Call `task(context, index)` for each index below `n_tasks`, which may run at the same time and in any order."""
    cdef Py_ssize_t index
    cdef fn_share share
    if threads > 1:
        fn_share_out(&share, n_tasks, threads)
        with parallel(num_threads=threads):
            take_part(task, context, &share)
        fn_rest_after(share.lost)
    else:  # no OpenMP construct: a forked child, or a caller's own parallel region, must not meet one
        for index in range(n_tasks):
            guarded(task, context, index)


cdef int limit() noexcept nogil:
    cdef int threads = fn_thread_limit if fn_thread_limit > 0 else process_limit
    cdef int omp_threads
    if threads == 1 or fn_forked or omp_in_parallel():
        return 1
    # Someone (threadpoolctl) has lowered OpenMP's own limit since import: it binds us too.
    omp_threads = omp_get_max_threads()
    if omp_threads < omp_threads_at_import and omp_threads < threads:
        return omp_threads
    return threads


cdef int team_for(Py_ssize_t bytes_moved) noexcept nogil:
    """The number of threads that `bytes_moved` bytes of reading and writing are worth."""
    if bytes_moved < TEAM_BYTES or (is_default and fn_thread_limit == 0 and fn_resting()):
        return 1
    return <int>min(<Py_ssize_t>limit(), bytes_moved // BYTES_PER_THREAD)


def get_limit() -> int:
    return limit()


def get_thread_limit() -> int:
    """The calling thread's own limit, 0 where it has none."""
    return fn_thread_limit


def is_forked() -> bool:
    return fn_forked != 0


def set_process_limit(int threads, bint default) -> None:
    global process_limit, is_default
    process_limit = threads
    is_default = default


def rest_after(int64_t lost) -> None:
    """As if a loop's thread had not run for so many nanoseconds."""
    fn_rest_after(lost)


def swap_thread_limit(int threads) -> int:
    """Set the calling thread's own limit (0: none) and return the one before."""
    global fn_thread_limit
    cdef int before = fn_thread_limit
    fn_thread_limit = threads
    return before


openmp = bool(FN_OPENMP)

if fn_watch_fork() != 0:
    raise MemoryError("pthread_atfork failed")
