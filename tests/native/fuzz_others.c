/* Images, windows, dropout, activations and roots of powers, as their Cython modules put them. */
#include "fuzz.h"

#include <stdlib.h>

#include "statistic.h"

enum { X, Y, MASK, SCRATCH };

static int fill(fn_block *b, fn_draw *d, ptrdiff_t period)
{
    const fn_filling filling = draw_filling(d, b->type, period);
    return block_fill(b, &filling);
}

/* x, and y unless it is x. */
typedef struct {
    fn_block b[4];
    int arrays, is_in_place;
} pair;

static int draw_types(pair *a, fn_draw *d, int x_types)
{
    const int x_type = (int)draw_below(d, x_types);
    const int y_type = x_type < FN_TYPES && draw_one_in(d, 2) ? x_type : (int)draw_below(d, FN_TYPES);
    a->is_in_place = fn_size(x_type) == fn_size(y_type) && draw_one_in(d, 4);
    a->arrays = a->is_in_place ? 1 : 2;
    a->b[X] = block_of(X, x_type);
    a->b[Y] = block_of(Y, y_type);
    return x_type == FN_F64 || y_type == FN_F64;
}

static fn_block *y_of(pair *a) { return &a->b[a->is_in_place ? X : Y]; }

static int fill_pair(pair *a, fn_draw *d, ptrdiff_t period)
{
    y_of(a)->is_output = 1;
    if (!fill(&a->b[X], d, period) || !(a->is_in_place || block_fill(&a->b[Y], NULL)))
        return 0;
    if (a->is_in_place)
        a->b[X].type = a->b[Y].type; /* of what it holds in the end */
    return 1;
}

/* Images: any strides in bytes, alignment and byte order. */
enum { IMAGE, ROW, PIXEL, CHANNEL };

typedef struct {
    pair a;
    fn_image p;
    ptrdiff_t spans_per_task[2];
} image;

static fn_pixels pixels_of(const fn_block *b)
{
    fn_pixels pixels = {
        b->data,          b->step[IMAGE], b->step[ROW], b->step[PIXEL],
        b->step[CHANNEL], (int)b->size,   b->swapped,   !b->swapped && (uintptr_t)b->data % (size_t)b->size == 0};
    for (int word = IMAGE; word <= CHANNEL; word++)
        pixels.plain &= b->step[word] % b->size == 0;
    return pixels;
}

static void solve_image(const fn_kernels *kernels, void *context, int way)
{
    image *i = context;
    const ptrdiff_t each = i->spans_per_task[way];
    i->p.x = pixels_of(&i->a.b[X]);
    i->p.y = pixels_of(y_of(&i->a));
    const ptrdiff_t spans = i->p.images * i->p.rows * fn_spans_of_row(&i->p);
    for (ptrdiff_t first = 0; first < spans; first += each)
        kernels->image(&i->p, first, fn_least(first + each, spans));
}

static void draw_pixels(fn_block *b, fn_draw *d, const fn_image *p, int how)
{
    static const int orders[][4] = {{CHANNEL, PIXEL, ROW, IMAGE},
                                    {PIXEL, ROW, CHANNEL, IMAGE},
                                    {PIXEL, ROW, IMAGE, CHANNEL},
                                    {IMAGE, ROW, PIXEL, CHANNEL}};
    const ptrdiff_t lengths[] = {p->images, p->rows, p->pixels, p->channels};
    const int *order = orders[draw_below(d, 4)], gaps = !draw_one_in(d, 3);
    const ptrdiff_t unit = draw_one_in(d, 4) ? 1 : b->size;
    b->swapped = b->size > 1 && b->type != FN_BF16 && draw_one_in(d, 6);
    for (int i = 0; i < 4; i++)
        block_add(b, d, order[i], lengths[order[i]], gaps ? how : STEP_DENSE, unit);
}

void fuzz_image(fn_draw *d)
{
    image i = {0};
    const int is_f64 = draw_types(&i.a, d, FN_TYPES + 1);
    ptrdiff_t room = fuzz_room(d);
    i.p.channels = draw_length(d, draw_one_in(d, 4) ? 300 : 5);
    i.p.pixels = draw_length(d, room /= i.p.channels);
    i.p.rows = draw_length(d, room /= i.p.pixels);
    i.p.images = draw_length(d, room / i.p.rows);
    if (i.p.pixels == 1) { /* rows are pixels then */
        i.p.pixels = i.p.rows;
        i.p.rows = 1;
    }
    draw_pixels(&i.a.b[X], d, &i.p, i.a.is_in_place ? STEP_ANY : STEP_SHARED);
    draw_pixels(&i.a.b[Y], d, &i.p, STEP_ANY);
    i.p.x_type = i.a.b[X].type;
    i.p.y_type = i.a.b[Y].type;
    i.p.stream = !i.a.is_in_place && draw_one_in(d, 2);
    i.p.y = pixels_of(y_of(&i.a));
    const ptrdiff_t spans = i.p.images * i.p.rows * fn_spans_of_row(&i.p);
    i.spans_per_task[0] = spans;
    i.spans_per_task[1] = 1 + draw_below(d, spans);
    fn_map *maps = malloc((size_t)i.p.channels * sizeof *maps);
    const double low = is_f64 ? DBL_MIN : FLT_MIN, high = is_f64 ? DBL_MAX : FLT_MAX;
    const double most = high * (is_f64 ? DBL_EPSILON : FLT_EPSILON) / 4;
    for (ptrdiff_t c = 0; maps && c < i.p.channels; c++) {
        const double mean = draw_double(d), factor = draw_double(d);
        fn_statistic statistic;
        fn_given(fabs(mean) < most ? mean : 1, fabs(factor) >= low && fabs(factor) <= high ? factor : 1, is_f64,
                 &statistic);
        maps[c] = fn_fold(&statistic, 1.0, -0.0, is_f64);
    }
    i.p.maps = maps;
    if (maps && fill_pair(&i.a, d, i.p.channels))
        fuzz_compare(d, i.a.b, i.a.arrays, solve_image, &i, 2, "image");
    free(maps);
}

/* Local response norm; two tiles of different sizes. */
enum { OUTER, CHANNELS, INNER };

typedef struct {
    pair a;
    fn_window_problem p;
    ptrdiff_t tile[2], units_per_task;
    int is_f64;
} window;

static void solve_window(const fn_kernels *kernels, void *context, int way)
{
    window *w = context;
    fn_window_problem *p = &w->p;
    const fn_block *x = &w->a.b[X], *y = y_of(&w->a);
    p->tile = w->tile[way];
    p->x = x->data;
    p->y = y->data;
    p->x_outer = x->step[OUTER];
    p->x_channel = x->step[CHANNELS];
    p->y_outer = y->step[OUTER];
    p->y_channel = y->step[CHANNELS];
    p->x_inner = x->size;
    p->y_inner = y->size;
    const ptrdiff_t units = p->outer * fn_window_tiles(p);
    for (ptrdiff_t first = 0; first < units; first += w->units_per_task) {
        void *scratch = malloc((size_t)fn_window_scratch(p) * (w->is_f64 ? 8 : 4));
        if (!scratch)
            abort();
        kernels->window[w->is_f64](p, first, fn_least(first + w->units_per_task, units), scratch);
        free(scratch);
    }
}

void fuzz_window(fn_draw *d)
{
    window w = {0};
    fn_window_problem *p = &w.p;
    ptrdiff_t room = fuzz_room(d);
    w.is_f64 = draw_types(&w.a, d, FN_TYPES);
    p->channels = draw_length(d, room / 2);
    p->inner = draw_one_in(d, 3) ? 1 : draw_length(d, room /= p->channels);
    p->outer = draw_length(d, room / p->inner);
    p->before = draw_below(d, fn_least(p->channels, 40));
    p->after = draw_below(d, fn_least(p->channels, 40));
    for (int i = 0; i < 2; i++) {
        fn_block *b = &w.a.b[i];
        const int how = i == X && !w.a.is_in_place ? STEP_SHARED : STEP_ANY;
        block_add(b, d, INNER, p->inner, STEP_DENSE, b->size);
        block_add(b, d, CHANNELS, p->channels, p->inner > 1 ? how : STEP_DENSE, b->size);
        block_add(b, d, OUTER, p->outer, how, b->size);
        w.tile[i] = FN_WINDOW_BLOCK * (1 + draw_below(d, draw_one_in(d, 2) ? 4 : 65));
    }
    w.units_per_task = 1 + draw_below(d, 100);
    const double most = w.is_f64 ? DBL_MAX : FLT_MAX;
    p->scale = fmax(fmin(draw_finite(d), most), -most);
    p->k = fmax(fmin(draw_finite(d), most), -most);
    p->power = (int)draw_below(d, 4);
    p->beta = p->power == FN_POWER ? draw_finite(d) : 1;
    p->stream = !w.a.is_in_place && draw_one_in(d, 2);
    p->x_type = w.a.b[X].type;
    p->y_type = w.a.b[Y].type;
    if (fill_pair(&w.a, d, p->inner))
        fuzz_compare(d, w.a.b, w.a.arrays, solve_window, &w, 2, "window");
}

/* Dropout, in tasks of any size. */
typedef struct {
    pair a;
    fn_dropout p;
    ptrdiff_t elements, each[2];
    int is_f64, has_mask;
} dropout;

static void solve_dropout(const fn_kernels *kernels, void *context, int way)
{
    dropout *o = context;
    o->p.x = o->a.b[X].data;
    o->p.y = y_of(&o->a)->data;
    o->p.mask = o->has_mask ? (uint8_t *)o->a.b[o->a.arrays - 1].data : NULL;
    for (ptrdiff_t first = 0; first < o->elements; first += o->each[way])
        kernels->dropout[o->is_f64](&o->p, first, fn_least(first + o->each[way], o->elements));
}

void fuzz_dropout(fn_draw *d)
{
    static const uint32_t thresholds[] = {0, 1, 0x80000000, 0xffffffff};
    dropout o = {.elements = draw_length(d, fuzz_room(d))};
    o.is_f64 = draw_types(&o.a, d, FN_TYPES);
    o.each[0] = o.elements;
    o.each[1] = 1 + draw_below(d, o.elements);
    o.p.x_type = o.a.b[X].type;
    o.p.y_type = o.a.b[Y].type;
    o.p.number = draw_one_in(d, 2) ? 0 : draw_bits(d, 8) >> 4; /* of an element that some array can have */
    o.p.key = draw_bits(d, 8);
    o.p.threshold = draw_one_in(d, 2) ? thresholds[draw_below(d, 4)] : (uint32_t)draw_bits(d, 4);
    o.p.high = (float)(0x1p32 / (0x1p32 - o.p.threshold));
    o.p.low = o.p.high * 0x1p-60;
    o.p.stream = !o.a.is_in_place && draw_one_in(d, 2);
    o.has_mask = draw_one_in(d, 2);
    for (int i = 0; i < 2; i++)
        block_add(&o.a.b[i], d, INNER, o.elements, STEP_DENSE, o.a.b[i].size);
    if (!fill_pair(&o.a, d, FN_GROUP))
        return;
    if (o.has_mask) {
        fn_block *mask = &o.a.b[o.a.arrays++];
        *mask = block_of(MASK, FN_U8);
        mask->is_output = 1;
        block_add(mask, d, INNER, o.elements, STEP_DENSE, 1);
        block_fill(mask, NULL);
    }
    fuzz_compare(d, o.a.b, o.a.arrays, solve_dropout, &o, 2, "dropout");
}

/* Activations of rows of the arithmetic type, where they lie or on to y. */
typedef struct {
    fn_block b[2];
    int arrays, activation, is_f64;
    ptrdiff_t n;
} activation;

static void solve_activate(const fn_kernels *kernels, void *context, int way)
{
    (void)way;
    activation *a = context;
    const fn_block *y = &a->b[a->arrays - 1];
    kernels->activate[a->is_f64](a->activation, a->b[X].data, y->data, a->n, y->type);
}

void fuzz_activate(fn_draw *d)
{
    activation a = {.n = draw_length(d, fuzz_room(d)), .activation = (int)draw_below(d, FN_TANH + 1)};
    const int y_type = (int)draw_below(d, FN_TYPES);
    a.is_f64 = y_type == FN_F64 || draw_one_in(d, 2);
    a.arrays = 1 + draw_one_in(d, 2);
    for (int i = 0; i < a.arrays; i++) {
        a.b[i] = block_of(i, i == Y ? y_type : a.is_f64 ? FN_F64 : FN_F32);
        a.b[i].is_output = 1;
        block_add(&a.b[i], d, INNER, a.n, STEP_DENSE, a.b[i].size);
        if (!(i == X ? fill(&a.b[X], d, 16) : block_fill(&a.b[Y], NULL)))
            return;
    }
    fuzz_compare(d, a.b, a.arrays, solve_activate, &a, 1, "activation");
}

/* Roots of sums of powers. */
typedef struct {
    fn_block b[2]; /* levels and sums */
    ptrdiff_t n;
    double power;
} roots;

static void solve_power_roots(const fn_kernels *kernels, void *context, int way)
{
    (void)way;
    roots *r = context;
    kernels->power_roots(r->n, (const double *)(void *)r->b[0].data, r->power, (double *)(void *)r->b[1].data);
}

void fuzz_power_roots(fn_draw *d)
{
    roots r = {.n = draw_length(d, fuzz_room(d)), .power = draw_finite(d)};
    for (int i = 0; i < 2; i++) {
        r.b[i] = block_of(i, FN_F64);
        r.b[i].is_output = i == 1;
        block_add(&r.b[i], d, INNER, r.n, STEP_DENSE, r.b[i].size);
        if (!fill(&r.b[i], d, 8))
            return;
    }
    fuzz_compare(d, r.b, 2, solve_power_roots, &r, 1, "roots of powers");
}

/* Running statistics. */
typedef struct {
    fn_block b[4]; /* mean, variance, and both as fn_given takes them */
    ptrdiff_t n;
    double eps;
} running;

static void solve_running(const fn_kernels *kernels, void *context, int way)
{
    (void)way;
    running *r = context;
    kernels->running(r->n, r->b[0].data, r->b[0].type, r->b[1].data, r->b[1].type, r->eps,
                     (double *)(void *)r->b[2].data, (double *)(void *)r->b[3].data);
}

void fuzz_running(fn_draw *d)
{
    running r = {.n = draw_length(d, fuzz_room(d)), .eps = fabs(draw_finite(d))};
    for (int i = 0; i < 4; i++) {
        r.b[i] = block_of(i, i < 2 && draw_one_in(d, 2) ? FN_F32 : FN_F64);
        r.b[i].is_output = i >= 2;
        block_add(&r.b[i], d, INNER, r.n, STEP_DENSE, r.b[i].size);
        if (!(i < 2 ? fill(&r.b[i], d, 8) : block_fill(&r.b[i], NULL)))
            return;
    }
    fuzz_compare(d, r.b, 4, solve_running, &r, 1, "running statistics");
}
