/* Norms: problems for the rows and the columns kernels, as the layout and the two Cython modules put them. */
#include "fuzz.h"

static void run(void (*task)(void *context, ptrdiff_t index), void *context, ptrdiff_t tasks)
{
    for (ptrdiff_t index = 0; index < tasks; index++)
        task(context, index);
}

#include "steps.h"

enum { X, Y, WEIGHT, BIAS, MEAN, RSTD, M2, ARRAYS };
enum { BATCH, OUTER, KEEP, SEGMENTS, RUN };

typedef struct {
    fn_problem p;
    fn_block b[ARRAYS]; /* of those that there are, the first `arrays` */
    fn_block *array[ARRAYS];
    int arrays;
    ptrdiff_t rows_per_task, tile[2], before[2];
} norm;

static fn_block *add(norm *n, int which, fn_block b)
{
    n->b[n->arrays] = b;
    return n->array[which] = &n->b[n->arrays++];
}

static fn_operand operand_of(const fn_block *b)
{
    if (!b)
        return (fn_operand){0};
    return (fn_operand){b->data, b->step[BATCH], b->step[OUTER], b->step[KEEP], b->step[SEGMENTS], b->step[RUN]};
}

static double *doubles_of(const fn_block *b) { return b ? (double *)(void *)b->data : NULL; }

static void put_arrays(norm *n)
{
    n->p.x = operand_of(n->array[X]);
    n->p.y = operand_of(n->array[Y]);
    n->p.weight = operand_of(n->array[WEIGHT]);
    n->p.bias = operand_of(n->array[BIAS]);
    n->p.mean = doubles_of(n->array[MEAN]);
    n->p.rstd = doubles_of(n->array[RSTD]);
    n->p.m2 = doubles_of(n->array[M2]);
}

static void solve_rows(const fn_kernels *kernels, void *context, int way)
{
    norm *n = context;
    put_arrays(n);
    if (way == 0)
        whole_rows(kernels, &n->p, n->rows_per_task);
    else
        shared_rows(kernels, &n->p);
}

static void solve_columns(const fn_kernels *kernels, void *context, int way)
{
    norm *n = context;
    put_arrays(n);
    if (way == 0)
        whole_columns(kernels, &n->p, n->tile[0], n->before[0]);
    else
        shared_columns(kernels, &n->p, n->tile[1], n->before[1], n->rows_per_task);
}

/* What is computed, from which type to which. */
static void draw_problem(norm *n, fn_draw *d)
{
    fn_problem *p = &n->p;
    p->statistic = (int)draw_below(d, FN_EXTREMES + 1);
    p->x_type = (int)draw_below(d, FN_TYPES);
    p->y_type = draw_one_in(d, 2) ? p->x_type : (int)draw_below(d, FN_TYPES);
    p->side = 1;
    p->eps = fabs(draw_finite(d));
    p->upper = INFINITY;
    if (p->statistic == FN_NORM_POWER)
        p->power = draw_finite(d);
}

/* x and y, whose words from `dense` inwards are contiguous; the others lie around those in any order. */
static int draw_data(norm *n, fn_draw *d, int dense, int is_in_place, int has_y)
{
    fn_problem *p = &n->p;
    const ptrdiff_t length[] = {p->batch, p->outer, p->keep, p->segments, p->run};
    for (int which = X; which <= (has_y && !is_in_place ? Y : X); which++) {
        fn_block *b = add(n, which, block_of(which, which == X ? p->x_type : p->y_type));
        for (int word = RUN; word >= dense; word--)
            block_add(b, d, word, length[word], STEP_DENSE, b->size);
        for (int left = dense, start = (int)draw_below(d, dense); left > 0; left--) {
            const int word = (start + left) % dense;
            block_add(b, d, word, length[word], is_in_place ? STEP_ANY : STEP_SHARED, b->size);
        }
        b->is_output = which == Y || is_in_place;
        const fn_filling filling = draw_filling(d, b->type, p->keep * p->segments * p->run);
        if (!block_fill(b, which == X ? &filling : NULL))
            return 0;
    }
    if (is_in_place) {
        n->array[Y] = n->array[X];
        n->array[X]->type = p->y_type; /* of what it holds in the end */
    }
    p->stream = (int)draw_below(d, FN_FAR + 1);
    if (has_y && !is_in_place && draw_one_in(d, 2))
        p->stream = p->statistic == FN_EXTREMES || draw_one_in(d, 2) ? FN_PAST_JOINED : FN_PAST;
    return 1;
}

/* One of weight and bias, which varies along some words. */
static int draw_parameter(norm *n, fn_draw *d, int which, const int varies[4], int is_dense)
{
    const fn_problem *p = &n->p;
    const ptrdiff_t length[] = {p->batch, p->outer, p->keep, p->segments};
    fn_block *b = add(n, which, block_of(which, arithmetic_is_f64(p) ? FN_F64 : FN_F32));
    if (varies[SEGMENTS])
        block_add(b, d, SEGMENTS, length[SEGMENTS], p->run == 1 ? STEP_DENSE : STEP_ANY, b->size);
    if (varies[KEEP])
        block_add(b, d, KEEP, length[KEEP], is_dense ? STEP_DENSE : STEP_ANY, b->size);
    for (int word = OUTER; word >= BATCH; word--)
        if (varies[word])
            block_add(b, d, word, length[word], STEP_ANY, b->size);
    const fn_filling filling = draw_filling(d, b->type, 1 + draw_below(d, 40));
    return block_fill(b, &filling);
}

static int draw_parameters(norm *n, fn_draw *d, int in_columns)
{
    fn_problem *p = &n->p;
    int varies[2][4], by_row = 0;
    for (int which = 0; which < 2; which++)
        for (int word = BATCH; word <= SEGMENTS; word++)
            varies[which][word] = draw_one_in(d, 2);
    for (int which = 0; which < 2; which++) {
        if (p->run > 1 && (in_columns || p->run < FN_SEGMENT))
            varies[which][SEGMENTS] = 0;
        by_row |= in_columns && varies[which][OUTER];
    }
    for (int which = 0; which < 2; which++) {
        const int is_absent = draw_one_in(d, 3);
        if (by_row && p->keep > 1 && p->segments * p->run > 1)
            varies[which][KEEP] = varies[which][SEGMENTS] = varies[which][SEGMENTS] && p->segments > 1;
        if (p->statistic == FN_EXTREMES)
            memset(varies[which], 0, sizeof varies[which]);
        else if (is_absent)
            continue;
        if (!draw_parameter(n, d, WEIGHT + which, varies[which], by_row))
            return 0;
    }
    if (p->statistic == FN_EXTREMES) { /* to a range whose ends and width every type holds */
        const double low = (float)fmax(fmin(draw_finite(d), 3e4), -3e4), high = low + 1 + (double)draw_below(d, 1000);
        const double span = arithmetic_is_f64(p) ? high - low : (double)((float)high - (float)low);
        block_set(n->array[WEIGHT], span);
        block_set(n->array[BIAS], low);
        p->upper = arithmetic_is_f64(p) ? high : (double)(float)high;
    }
    return 1;
}

static int draw_statistics(norm *n, fn_draw *d)
{
    fn_problem *p = &n->p;
    const int is_given = p->statistic == FN_GIVEN, is_power = p->statistic == FN_NORM_POWER;
    const ptrdiff_t elements = p->outer * p->segments * p->run, ddof = draw_one_in(d, 2) ? 0 : draw_below(d, elements);
    p->inverse_elements = 1.0 / (double)elements;
    p->inverse_n = 1.0 / (double)(elements - ddof);
    if (!is_given && !is_power && draw_one_in(d, 2))
        return 1;
    for (int which = MEAN; which <= (is_given ? RSTD : M2); which++) {
        fn_block *b = add(n, which, block_of(which, FN_F64));
        block_add(b, d, RUN, p->batch * p->keep, STEP_DENSE, b->size);
        b->is_output = !is_given && !(is_power && which == MEAN);
        const fn_filling filling = draw_filling(d, FN_F64, 1 + draw_below(d, 40));
        if (!block_fill(b, b->is_output ? NULL : &filling))
            return 0;
    }
    return 1;
}

static int draw_arrays(norm *n, fn_draw *d, int dense, int in_columns)
{
    fn_problem *p = &n->p;
    const int has_y = p->statistic != FN_NORM_POWER && (p->statistic == FN_GIVEN || !draw_one_in(d, 6));
    if (!has_y)
        p->y_type = arithmetic_is_f64(p) ? FN_F64 : FN_F32;
    const int is_in_place = has_y && fn_size(p->x_type) == fn_size(p->y_type) && draw_one_in(d, 4);
    return draw_data(n, d, dense, is_in_place, has_y) && draw_parameters(n, d, in_columns) && draw_statistics(n, d);
}

static void split(fn_draw *d, ptrdiff_t stretch, fn_problem *p)
{
    p->run = draw_one_in(d, 2) ? 1 : draw_length(d, stretch);
    p->segments = stretch / p->run;
}

void fuzz_rows(fn_draw *d)
{
    norm n = {0};
    fn_problem *p = &n.p;
    ptrdiff_t room = fuzz_room(d);
    draw_problem(&n, d);
    /* One stretch for each statistic; several that lie anywhere; or several side by side. */
    const ptrdiff_t form = draw_below(d, 3), shortest = form ? FN_ROW_STRETCH : 1;
    ptrdiff_t stretch = draw_length(d, room);
    split(d, stretch < shortest ? shortest : stretch, p);
    p->run = p->segments * p->run < shortest ? shortest : p->run; /* division left some out */
    room /= p->segments * p->run;
    p->outer = form ? draw_length(d, room) : 1;
    room /= p->outer;
    p->keep = form < 2 ? draw_length(d, room) : 1;
    p->batch = draw_length(d, room / p->keep);
    p->side = form < 2 ? 1 : p->outer;
    n.rows_per_task = 1 + draw_below(d, p->batch * p->keep);
    if (draw_arrays(&n, d, form < 2 ? SEGMENTS : OUTER, 0))
        fuzz_compare(d, n.b, n.arrays, solve_rows, &n, 2, "rows");
}

void fuzz_columns(fn_draw *d)
{
    norm n = {0};
    fn_problem *p = &n.p;
    ptrdiff_t room = fuzz_room(d);
    draw_problem(&n, d);
    split(d, 1 + (draw_one_in(d, 2) ? 0 : draw_below(d, FN_ROW_STRETCH - 1)), p);
    const ptrdiff_t stretch = p->segments * p->run;
    p->keep = draw_length(d, fn_least(room / stretch / 2, 1100));
    room /= p->keep * stretch;
    p->outer = draw_one_in(d, 4) ? room : draw_length(d, room); /* all of a large one is more than a chunk */
    p->outer = p->outer < 2 ? 2 : p->outer;
    p->batch = draw_length(d, room / p->outer);
    p->side = fn_least(FN_ROW_SIDE / (p->keep * stretch), p->outer);
    p->side = p->side < 1 ? 1 : p->side;
    for (int way = 0; way < 2; way++) {
        n.tile[way] = p->side > 1 ? p->keep : 1 + draw_below(d, fn_least(FN_TILE / stretch, p->keep));
        n.before[way] = n.tile[way] < p->keep && stretch == 1 ? draw_below(d, n.tile[way]) : 0;
    }
    n.rows_per_task = 1 + draw_below(d, fn_rows(p) + p->outer % p->side);
    if (draw_arrays(&n, d, p->side > 1 ? OUTER : KEEP, 1))
        fuzz_compare(d, n.b, n.arrays, solve_columns, &n, 2, "columns");
}
