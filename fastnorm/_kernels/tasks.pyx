"""The one parallel loop, and how many threads may enter it.

Every kernel cuts its work into tasks by the problem's shape alone and hands them to `run`; so the number of threads
decides who does a task, never what a task is, and the bits do not change. The limit is passed to each loop:
`omp_set_num_threads` would change it for every other user of the process's OpenMP.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport parallel
from libc.stdint cimport int64_t, uint64_t

from fastnorm._kernels.problem cimport fn_float_mode_enter, fn_float_mode_leave


cdef extern from "team.h" nogil:
    const int FN_OPENMP
    int fn_process_limit, fn_is_default
    int fn_thread_limit
    int fn_forked
    int fn_watch_fork()
    int omp_get_max_threads()
    int omp_get_num_threads()
    int omp_get_thread_num()
    bint omp_in_parallel()

cdef extern from "share.h" nogil:
    const int64_t FN_TURN
    ctypedef struct fn_share:
        int64_t lost
    void fn_share_out(fn_share *share, Py_ssize_t tasks, int threads)
    void fn_begin_turn(fn_share *share, int64_t turn)
    Py_ssize_t fn_take(fn_share *share, int me)
    bint fn_turn_is_over(const fn_share *share)
    bint fn_is_done(fn_share *share)
    void fn_meet(fn_share *share, int threads, int64_t cpu_start)
    int64_t fn_cpu_ns()
    int fn_part_of_cores(int threads)
    void fn_enter()
    void fn_leave()
    bint fn_resting()
    void fn_rest_after(int64_t lost)

cdef extern from "probe.h" nogil:
    size_t fn_stack_bytes
    int fn_possible_team(int threads)


# A team costs up to 50 us to wake (passive waiting), so it must have more work than that: 2 MB moved in the last-level
# cache takes one thread about 80 us. Each thread then gets at least half of it.
TEAM_BYTES = 2 << 20
cdef Py_ssize_t BYTES_PER_THREAD = 1 << 20

cdef int omp_threads_at_import = omp_get_max_threads()
cdef int64_t turn = FN_TURN


cdef void guarded(task_t task, void *context, Py_ssize_t index) noexcept nogil:
    cdef uint64_t mode = fn_float_mode_enter()
    task(context, index)
    fn_float_mode_leave(mode)


cdef void take_part(task_t task, void *context, fn_share *share, int me) noexcept nogil:
    cdef Py_ssize_t index = fn_take(share, me)
    while index >= 0:
        guarded(task, context, index)
        if fn_turn_is_over(share):
            break
        index = fn_take(share, me)


cdef void take_part_in_team(task_t task, void *context, fn_share *share) noexcept nogil:
    cdef int64_t cpu_start = fn_cpu_ns()
    take_part(task, context, share, omp_get_thread_num())
    fn_meet(share, omp_get_num_threads(), cpu_start)


cdef int run(task_t task, void *context, Py_ssize_t n_tasks, int threads) except -1 nogil:
    """Call `task(context, index)` for each index below `n_tasks`, which may run at the same time and in any order, by
    `threads` of them, at least 1.

    Raises what a signal's handler raises, KeyboardInterrupt above all: some tasks are then not done.
    """
    cdef fn_share share
    if n_tasks == 1:
        guarded(task, context, 0)
        return 0
    if threads > 1 and fn_thread_limit == 0:
        threads = fn_part_of_cores(threads)
    if threads > 1:
        threads = fn_possible_team(threads)
    fn_share_out(&share, n_tasks, threads)
    while True:
        fn_begin_turn(&share, turn)
        if threads > 1 and not fn_forked:
            fn_enter()
            with parallel(num_threads=threads):
                take_part_in_team(task, context, &share)
            fn_leave()
            fn_rest_after(share.lost)
        else:  # no OpenMP construct: a forked child, or a caller's own parallel region, must not meet one
            take_part(task, context, &share, 0)
        if fn_is_done(&share):
            return 0
        with gil:
            PyErr_CheckSignals()  # a handler may also have forked: then the child goes on alone


cdef int limit() noexcept nogil:
    cdef int threads = fn_thread_limit if fn_thread_limit > 0 else fn_process_limit
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
    if bytes_moved < TEAM_BYTES or (fn_is_default and fn_thread_limit == 0 and fn_resting()):
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
    global fn_process_limit, fn_is_default
    fn_process_limit = threads
    fn_is_default = default


def set_stack(size_t stack_bytes) -> None:
    """The size of the stacks of OpenMP's threads, 0 where it is the system's default."""
    global fn_stack_bytes
    fn_stack_bytes = stack_bytes


def set_turn(int64_t nanoseconds) -> int:
    """For so long a loop goes on without asking for signals; returns what it was before."""
    global turn
    before = turn
    turn = nanoseconds
    return before


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
