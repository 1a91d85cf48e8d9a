/* Whether the threads can be made that a team lacks. OpenMP ends the process where one cannot: under a limit on
 * processes, in a container's, or without address space for a stack.
 *
 * So before a team grows they are made here, and end at once; a calling thread's last team is still there, and is not
 * asked for again (libgomp keeps one for each thread that calls it, and ends those that a smaller team does without).
 * Twice as many are made as are needed, because the system may still count those that have ended. Other threads that
 * are made in between can take the place of ours: that race remains.
 */
#ifndef FASTNORM_PROBE_H
#define FASTNORM_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "share.h"

static size_t fn_stack_bytes = 0; /* of OpenMP's threads; 0: the system's default */

#if defined(_OPENMP) && (defined(__unix__) || defined(__APPLE__))
#include <pthread.h>

enum { FN_PROBES = 2 * FN_PARTS, FN_RETRY = 1000000000 };

static void *fn_probe_thread(void *mutex)
{
    pthread_mutex_lock(mutex); /* until all were made */
    pthread_mutex_unlock(mutex);
    return NULL;
}

/* How many of `wanted` more threads, at most FN_PROBES, can live at the same time. */
static int fn_probe(int wanted)
{
    pthread_t threads[FN_PROBES];
    pthread_attr_t attributes;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    int made = 0;
    if (pthread_attr_init(&attributes) != 0)
        return 0;
    if (fn_stack_bytes != 0)
        pthread_attr_setstacksize(&attributes, fn_stack_bytes); /* where it is refused, OpenMP takes the default, too */
    pthread_mutex_lock(&mutex);
    while (made < wanted && pthread_create(&threads[made], &attributes, fn_probe_thread, &mutex) == 0)
        made++;
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < made; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&mutex);
    pthread_attr_destroy(&attributes);
    return made;
}

static _Thread_local int fn_last_team = 1;
static _Thread_local int64_t fn_retry_at = 0; /* after threads could not be made */

/* The largest team of at most `threads`, below FN_PARTS, that the calling thread can have; it is taken to use it. */
static inline int fn_possible_team(int threads)
{
    if (threads > fn_last_team) {
        const int more = threads - fn_last_team;
        if (fn_wall_ns() < fn_retry_at)
            return fn_last_team;
        const int made = fn_probe(2 * more);
        if (made < 2 * more)
            fn_retry_at = fn_wall_ns() + FN_RETRY;
        threads = fn_last_team + made / 2;
    }
    fn_last_team = threads;
    return threads;
}
#else
static inline int fn_possible_team(int threads) { return threads; }
#endif

#endif
