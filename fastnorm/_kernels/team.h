/* What tasks.pyx needs from OpenMP, from fork, and from thread-local storage; each has an answer where it is absent. */
#ifndef FASTNORM_TEAM_H
#define FASTNORM_TEAM_H

#ifdef _OPENMP
#include <omp.h>
#define FN_OPENMP 1
#else
#define FN_OPENMP 0
static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_num_threads(void) { return 1; }
static inline int omp_get_thread_num(void) { return 0; }
static inline int omp_in_parallel(void) { return 0; }
#endif

/* Of every call, and whether nobody has asked for that number. Any thread may set and read these at any time. */
static _Atomic int fn_process_limit = 1, fn_is_default = 1;

/* The calling thread's own limit, 0 where it has none: threads(n) must not bind other threads. */
static _Thread_local int fn_thread_limit = 0;

/* Set in a forked child: libgomp keeps the parent's team there, which has no threads, and would wait for it forever. */
static volatile int fn_forked = 0;

#if defined(_OPENMP) && (defined(__unix__) || defined(__APPLE__))
#include <pthread.h>
static void fn_after_fork(void) { fn_forked = 1; }
static inline int fn_watch_fork(void) { return pthread_atfork(NULL, NULL, fn_after_fork); }
#else
static inline int fn_watch_fork(void) { return 0; }
#endif

#endif
