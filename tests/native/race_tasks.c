/* The kernels in tasks that a team shares by share.h, on plain threads, for ThreadSanitizer: it knows nothing of what
 * OpenMP's runtime waits for, and would take every loop for a race.
 *
 * The threads live through all loops and learn of each by a release store. What they wrote reaches the caller by
 * fn_meet alone: nothing else here orders it. `race_tasks planted` waits without order instead, and has to fail.
 *
 * Built with the scalar tier, whose every load and store the compiler sees; those of the others touch the same bytes
 * (fuzz_kernels.c).
 */
#define _POSIX_C_SOURCE 200809L /* clocks */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "float_mode.h"
#include "share.h"

static void run(void (*task)(void *context, ptrdiff_t index), void *context, ptrdiff_t tasks);

#include "steps.h"

enum { MOST_THREADS = 8, MOST_LOOPS = 1 << 16, MOST_TURNS = 1 << 18 };

/* What a team does at a time: all of a loop, or what it can until its turn is over. */
typedef struct {
    void (*task)(void *context, ptrdiff_t index);
    void *context;
    fn_share *share;
    int threads;
    atomic_int left; /* how many are on their way to the next turn */
} turn;

static turn *turns[MOST_TURNS];
static fn_share *shares[MOST_LOOPS];
static atomic_int begun = 0; /* turns */
static int threads = 1, loops = 0, is_planted = 0;
static int64_t turn_ns = FN_TURN;

static void take_part(turn *t, int me)
{
    const int64_t cpu_start = fn_cpu_ns();
    const uint64_t mode = fn_float_mode_enter();
    for (ptrdiff_t index = fn_take(t->share, me); index >= 0; index = fn_take(t->share, me)) {
        t->task(t->context, index);
        if (fn_turn_is_over(t->share))
            break;
    }
    fn_float_mode_leave(mode);
    if (!is_planted)
        fn_meet(t->share, t->threads, cpu_start);
    atomic_fetch_add_explicit(&t->left, 1, memory_order_relaxed);
}

static void *work(void *argument)
{
    const int me = (int)(intptr_t)argument;
    for (int i = 0; i < MOST_TURNS; i++) {
        while (atomic_load_explicit(&begun, memory_order_acquire) <= i)
            fn_nap();
        if (!turns[i])
            break;
        if (me < turns[i]->threads)
            take_part(turns[i], me);
    }
    return NULL;
}

static void begin(turn *t)
{
    const int i = atomic_load_explicit(&begun, memory_order_relaxed);
    if (i == MOST_TURNS)
        abort();
    turns[i] = t;
    atomic_store_explicit(&begun, i + 1, memory_order_release);
}

/* As tasks.pyx does it. That all threads are out of fn_meet before the next turn, OpenMP sees to there. */
static void run(void (*task)(void *context, ptrdiff_t index), void *context, ptrdiff_t tasks)
{
    if (threads == 1 || tasks == 1) {
        for (ptrdiff_t index = 0; index < tasks; index++)
            task(context, index);
        return;
    }
    if (loops == MOST_LOOPS)
        abort();
    fn_share *share = shares[loops++] = must_malloc(sizeof *share);
    fn_share_out(share, tasks, threads);
    do {
        turn *t = must_malloc(sizeof *t);
        *t = (turn){.task = task, .context = context, .share = share, .threads = threads};
        fn_begin_turn(share, turn_ns);
        begin(t);
        take_part(t, 0);
        while (atomic_load_explicit(&t->left, memory_order_relaxed) < threads)
            FN_PAUSE();
        fn_rest_after(share->lost);
    } while (!fn_is_done(share));
}

/* Norms of contiguous float32 data. The data of some is so large that it is surveyed and summed again. */
typedef struct {
    ptrdiff_t batch, outer, keep, segments, run, side;
    int statistic;
    float scale;
    ptrdiff_t tile; /* 0: rows */
} norm_case;

static const norm_case norms[] = {
    {1, 1, 3, 150001, 1, 1, FN_CENTERED, 1, 0},    /* pieces of a stretch */
    {1, 1, 2, 1, 140000, 1, FN_SQUARES, 1e30f, 0}, /* the same, all of whose steps are shared */
    {1, 9000, 1, 40, 1, 9000, FN_CENTERED, 1, 0},  /* of stretches side by side */
    {1, 3000, 2, 1, 49, 1, FN_GIVEN, 1, 0},        /* of short ones */
    {2, 1, 150, 300, 1, 1, FN_EXTREMES, 1, 0},     /* whole statistics */
    {1, 4500, 30, 1, 1, 2, FN_CENTERED, 1, 30},    /* rows of a tile, and one left over */
    {2, 300, 700, 1, 1, 1, FN_NORM_1, 1, 64},      /* tiles */
    {1, 2100, 5, 4, 1, 3, FN_UNCENTERED, 1e30f, 5}, {1, 5000, 3, 1, 1, 21, FN_GIVEN, 1, 3},
};

static fn_operand strides(const fn_problem *p, void *data)
{
    fn_operand o = {.data = data, .run = sizeof(float)};
    o.segments = p->run * o.run;
    o.keep = p->segments * o.segments;
    o.outer = p->keep * o.keep;
    o.batch = p->outer * o.outer;
    return o;
}

static void solve_norm(const fn_kernels *kernels, const norm_case *c, const float *x, float *y, double *statistics)
{
    const ptrdiff_t rows = c->batch * c->keep, elements = c->outer * c->segments * c->run;
    static float weight[1000], bias[1000];
    fn_problem p = {.batch = c->batch,
                    .outer = c->outer,
                    .keep = c->keep,
                    .segments = c->segments,
                    .run = c->run,
                    .mean = statistics,
                    .rstd = statistics + rows,
                    .m2 = c->statistic == FN_GIVEN ? NULL : statistics + 2 * rows,
                    .eps = 1e-5,
                    .inverse_n = 1.0 / (double)elements,
                    .inverse_elements = 1.0 / (double)elements,
                    .upper = INFINITY,
                    .statistic = c->statistic,
                    .side = c->side};
    p.x = strides(&p, (void *)(uintptr_t)x);
    p.y = strides(&p, y);
    p.weight.data = (char *)weight;
    p.bias.data = (char *)bias;
    p.weight.keep = p.bias.keep = c->statistic == FN_EXTREMES ? 0 : sizeof(float);
    for (int i = 0; i < 1000; i++) {
        weight[i] = 1 + 0.001f * (float)i;
        bias[i] = 0.5f;
    }
    for (ptrdiff_t s = 0; s < 2 * rows && c->statistic == FN_GIVEN; s++)
        statistics[s] = 0.25;
    if (c->statistic == FN_EXTREMES)
        p.upper = 1.5;
    if (c->tile) {
        whole_columns(kernels, &p, c->tile, 0);
        shared_columns(kernels, &p, c->tile, 0, 100);
    } else {
        whole_rows(kernels, &p, 3);
        shared_rows(kernels, &p);
    }
}

/* The other kernels: parts of one array, which meet anywhere in a word. */
typedef struct {
    const fn_kernels *kernels;
    fn_dropout dropout;
    fn_window_problem window;
    fn_image image;
    ptrdiff_t elements;
} others_context;

enum { ELEMENTS_PER_TASK = 1000 };

static void dropout_task(void *context, ptrdiff_t index)
{
    const others_context *c = context;
    const ptrdiff_t first = index * ELEMENTS_PER_TASK;
    c->kernels->dropout[0](&c->dropout, first, fn_least(first + ELEMENTS_PER_TASK, c->elements));
}

static void window_task(void *context, ptrdiff_t index)
{
    const others_context *c = context;
    void *scratch = must_malloc((size_t)fn_window_scratch(&c->window) * sizeof(float));
    c->kernels->window[0](&c->window, index, index + 1, scratch);
    free(scratch);
}

static void image_task(void *context, ptrdiff_t index)
{
    const others_context *c = context;
    c->kernels->image(&c->image, index, index + 1);
}

static void solve_others(const fn_kernels *kernels, float *x, float *y, uint8_t *mask)
{
    enum { SIDE = 100, CHANNELS = 3 };
    static const fn_map maps[CHANNELS] = {
        {.scale = 1, .upper = INFINITY}, {.scale = 2, .upper = INFINITY}, {.scale = 3}};
    const ptrdiff_t item = sizeof(float);
    others_context c = {.kernels = kernels, .elements = 50001};
    c.dropout = (fn_dropout){.x = (char *)x,
                             .y = (char *)y,
                             .mask = mask,
                             .number = 7,
                             .key = 3,
                             .threshold = 1u << 31,
                             .high = 2,
                             .low = 0x1p-60};
    run(dropout_task, &c, (c.elements + ELEMENTS_PER_TASK - 1) / ELEMENTS_PER_TASK);
    y += c.elements;
    c.window = (fn_window_problem){.outer = 2,
                                   .channels = 20,
                                   .inner = 333,
                                   .x = (char *)x,
                                   .y = (char *)y,
                                   .x_outer = 20 * 333 * item,
                                   .x_channel = 333 * item,
                                   .x_inner = item,
                                   .y_outer = 20 * 333 * item,
                                   .y_channel = 333 * item,
                                   .y_inner = item,
                                   .before = 2,
                                   .after = 2,
                                   .tile = 32,
                                   .scale = 1e-4,
                                   .k = 1,
                                   .beta = 0.75,
                                   .power = FN_ROOT_AND_ITS_ROOT};
    run(window_task, &c, c.window.outer * fn_window_tiles(&c.window));
    y += 2 * 20 * 333;
    for (int planes = 0; planes < 2; planes++, y += SIDE * SIDE * CHANNELS) {
        c.image = (fn_image){.images = 1, .rows = SIDE, .pixels = SIDE, .channels = CHANNELS, .maps = maps};
        c.image.x_type = FN_U8;
        c.image.x = (fn_pixels){(char *)x, 0, SIDE * CHANNELS, CHANNELS, 1, 1, 0, 1};
        c.image.y = planes ? (fn_pixels){(char *)y, 0, SIDE * item, item, SIDE * SIDE * item, (int)item, 0, 1}
                           : (fn_pixels){(char *)y, 0, SIDE * CHANNELS * item, CHANNELS * item, item, (int)item, 0, 1};
        run(image_task, &c, SIDE);
    }
}

int main(int arguments, char **argument)
{
    enum { ROOM = 500000, STATISTICS = 3 * 2000 };
    static float x[ROOM], expected[ROOM], got[ROOM];
    static double expected_statistics[STATISTICS], statistics[STATISTICS];
    static uint8_t expected_mask[ROOM], mask[ROOM];
    fn_tier tiers[FN_TIERS];
    pthread_t team[MOST_THREADS];
    int wrong = 0;
    is_planted = arguments > 1 && strcmp(argument[1], "planted") == 0;
    fn_describe_tiers(tiers);
    for (int me = 1; me < MOST_THREADS; me++)
        if (pthread_create(&team[me], NULL, work, (void *)(intptr_t)me) != 0)
            abort();
    const int cases = (int)(sizeof norms / sizeof *norms);
    for (int i = 0; i <= cases; i++) {
        for (ptrdiff_t j = 0; j < ROOM; j++)
            x[j] = ((float)(j * 7919 % 1000) - 400) * (i < cases ? norms[i].scale : 1);
        for (int n = 1; n <= MOST_THREADS; n++) {
            threads = n;
            turn_ns = n % 2 || is_planted ? FN_TURN : 0; /* 0: a task in each turn */
            memset(got, 0, sizeof got);
            memset(statistics, 0, sizeof statistics);
            if (i < cases)
                solve_norm(tiers[0].kernels, &norms[i], x, got, statistics);
            else
                solve_others(tiers[0].kernels, x, got, mask);
            if (n == 1) {
                memcpy(expected, got, sizeof got);
                memcpy(expected_statistics, statistics, sizeof statistics);
                memcpy(expected_mask, mask, sizeof mask);
            } else if (memcmp(expected, got, sizeof got) || memcmp(expected_mask, mask, sizeof mask) ||
                       memcmp(expected_statistics, statistics, sizeof statistics)) {
                printf("case %d with %d threads: other bits than with one\n", i, n);
                wrong = 1;
            }
        }
    }
    begin(NULL);
    for (int me = 1; me < MOST_THREADS; me++)
        pthread_join(team[me], NULL);
    for (int i = 0; turns[i]; i++)
        free(turns[i]);
    for (int i = 0; i < loops; i++)
        free(shares[i]);
    printf("%d loops in %d turns\n", loops, atomic_load(&begun) - 1);
    return wrong;
}
