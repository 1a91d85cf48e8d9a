/* How a team shares the tasks of one loop, waits for its end, and finds out that it had better not been woken.
 *
 * Each thread has a part of its own, in order, so that the passes of a call find their data in the caches; one that is
 * done takes what the others have left. It waits for them here: for a moment awake, then in naps. OpenMP's own barrier
 * may stay awake for 16 ms (libgomp, where a pause takes 50 ns), on a core that a thread of the team may be waiting
 * for.
 *
 * A long loop is done in turns of FN_TURN ns: in between no thread is at work, and the caller may stop the loop or go
 * on with what is left, also with another team.
 *
 * A thread that did not run for FN_LOST ns of a loop had no core of its own: other processes want them. Calls are then
 * answered by the calling thread alone for FN_REST times as long, unless the caller has set the number of threads; long
 * enough for the others to fall asleep. That changes no bit. Measured with one of two cores busy elsewhere, on calls
 * that one thread answers in 0.31 ms: 12 to 16 ms by two threads with no rest, 1.3 ms with one of twice the time lost,
 * and 0.34 ms in this way.
 */
#ifndef FASTNORM_SHARE_H
#define FASTNORM_SHARE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { FN_PARTS = 1024, FN_PATIENCE = 1000 }; /* the most threads; pauses: 10 to 50 us */
enum { FN_LOST = 1000000, FN_REST = 32, FN_TURN = 100000000 };

#if defined(_WIN32)
#include <windows.h>
static inline void fn_nap(void) { Sleep(0); }
static inline int64_t fn_wall_ns(void)
{
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    return (int64_t)((double)ticks.QuadPart * (1e9 / (double)per_second.QuadPart));
}
static inline int64_t fn_cpu_ns(void) { return fn_wall_ns(); } /* only the time to wake up is ever lost */
#else
#include <time.h>
static inline void fn_nap(void) { nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL); }
static inline int64_t fn_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
static inline int64_t fn_wall_ns(void) { return fn_ns(CLOCK_MONOTONIC); }
static inline int64_t fn_cpu_ns(void) { return fn_ns(CLOCK_THREAD_CPUTIME_ID); } /* of the calling thread */
#endif

#if defined(__x86_64__) || defined(__i386__)
#define FN_PAUSE() __builtin_ia32_pause()
#else
#define FN_PAUSE() (void)0
#endif

typedef struct {
    ptrdiff_t tasks;
    int parts;
    int64_t start, end; /* of this turn */
    atomic_int arrived;
    _Atomic int64_t lost; /* by the thread that lost most */
    _Atomic ptrdiff_t next[FN_PARTS];
} fn_share;

static atomic_int fn_teams = 0; /* at work now */

static inline void fn_enter(void) { atomic_fetch_add(&fn_teams, 1); }
static inline void fn_leave(void) { atomic_fetch_sub(&fn_teams, 1); }

/* Of a team's size, for a call beside those of other threads. */
static inline int fn_part_of_cores(int threads)
{
    const int part = threads / (atomic_load(&fn_teams) + 1);
    return part > 1 ? part : 1;
}

static _Atomic int64_t fn_rest_until = 0;

static inline int fn_resting(void) { return atomic_load(&fn_rest_until) > fn_wall_ns(); }

static inline void fn_rest_after(int64_t lost)
{
    if (lost > FN_LOST)
        atomic_store(&fn_rest_until, fn_wall_ns() + FN_REST * lost);
}

static inline ptrdiff_t fn_part_start(const fn_share *s, int part)
{
    const ptrdiff_t each = s->tasks / s->parts, more = s->tasks % s->parts;
    return part * each + (part < more ? part : more);
}

static inline void fn_share_out(fn_share *s, ptrdiff_t tasks, int threads)
{
    s->tasks = tasks;
    s->parts = threads < FN_PARTS ? threads : FN_PARTS;
    for (int part = 0; part < s->parts; part++)
        atomic_init(&s->next[part], fn_part_start(s, part));
}

/* Before each turn; by the calling thread. */
static inline void fn_begin_turn(fn_share *s, int64_t turn)
{
    s->start = fn_wall_ns();
    s->end = s->start + turn;
    atomic_init(&s->arrived, 0);
    atomic_init(&s->lost, 0);
}

/* A task for thread `me`, or -1 when none is left. */
static inline ptrdiff_t fn_take(fn_share *s, int me)
{
    for (int k = 0; k < s->parts; k++) {
        const int part = (me + k) % s->parts;
        const ptrdiff_t end = fn_part_start(s, part + 1);
        if (atomic_load_explicit(&s->next[part], memory_order_relaxed) < end) {
            const ptrdiff_t index = atomic_fetch_add_explicit(&s->next[part], 1, memory_order_relaxed);
            if (index < end)
                return index;
        }
    }
    return -1;
}

static inline int fn_turn_is_over(const fn_share *s) { return fn_wall_ns() >= s->end; }

/* Whether every task was taken. */
static inline int fn_is_done(fn_share *s)
{
    for (int part = 0; part < s->parts; part++) {
        if (atomic_load(&s->next[part]) < fn_part_start(s, part + 1))
            return 0;
    }
    return 1;
}

/* Returns when all `threads` have called it: what they wrote is seen then. cpu_start: fn_cpu_ns() when this one came.
 */
static inline void fn_meet(fn_share *s, int threads, int64_t cpu_start)
{
    const int64_t lost = fn_wall_ns() - s->start - (fn_cpu_ns() - cpu_start);
    int64_t most = atomic_load(&s->lost);
    while (lost > most && !atomic_compare_exchange_weak(&s->lost, &most, lost))
        ;
    atomic_fetch_add(&s->arrived, 1);
    for (int i = 0; atomic_load(&s->arrived) < threads; i++) {
        if (i < FN_PATIENCE)
            FN_PAUSE();
        else
            fn_nap();
    }
}

#endif
