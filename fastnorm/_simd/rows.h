/* The rows kernel: statistics of contiguous stretches, and their apply, from X to Y in arithmetic type C.
 *
 * A template, after apply.h.
 */

/* n <= FN_GROUP_ROWS whole segments of a stretch, joined; 0, and y is not written, where a map is not plain. */
static int IN_XY(join_segments)(const fn_problem *p, const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const char *weight,
                                const char *bias, const fn_statistic *statistic)
{
    TYPE(C) mean[FN_GROUP_ROWS], scale[FN_GROUP_ROWS], shift[FN_GROUP_ROWS];
    const ptrdiff_t ahead = fn_ahead(p, fn_stretch(p) * (ptrdiff_t)sizeof *x, 0);
    const int past = p->stream == FN_PAST;
    if (!IN_C(fold_segments)(p, n, statistic, weight, bias, mean, scale, shift))
        return 0;
    if (IN_XY(joins) && p->run >= LANES)
        IN_XY(map_joined_rows)(x, y, n, p->run, mean, scale, shift, ahead, past);
    else
        IN_XY(map_rows)(x, p->run * (ptrdiff_t)sizeof *x, y, p->run * (ptrdiff_t)sizeof *y, n, p->run, mean, scale,
                        shift, NULL, 0, ahead, past);
    return 1;
}

/* Part of a stretch, each segment with its own map. */
static void IN_XY(apply_segments)(const fn_problem *p, const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t start,
                                  ptrdiff_t length, const char *weight, const char *bias, const fn_statistic *statistic)
{
    const ptrdiff_t end = start + length;
    const int joined = p->run <= FN_GROUP_STRETCH && statistic->mode == FN_PLAIN && statistic->span == 0;
    for (ptrdiff_t from = start, to; from < end; from = to) {
        const ptrdiff_t segment = from / p->run;
        const char *w = weight ? weight + segment * p->weight.segments : NULL;
        const char *b = bias ? bias + segment * p->bias.segments : NULL;
        const ptrdiff_t whole = from % p->run ? 0 : fn_least((end - from) / p->run, FN_GROUP_ROWS);
        to = from + whole * p->run;
        if (joined && whole > 1 &&
            IN_XY(join_segments)(p, x + (from - start), y + (from - start), whole, w, b, statistic))
            continue;
        to = fn_least((segment + 1) * p->run, end);
        const fn_map map = fn_fold(statistic, IN_C(value_at)(w, 0, 1.0), IN_C(value_at)(b, 0, -0.0), IS_F64(C));
        IN_XY(apply)(x + (from - start), y + (from - start), to - from, &map, NULL, 0,
                     fn_ahead(p, fn_stretch(p) * (ptrdiff_t)sizeof *x, 0), p->stream == FN_PAST);
    }
}

/* Part of each of some stretches of statistic s. */
static void IN_XY(apply_piece)(const fn_problem *p, IN_C(plan) * plan, ptrdiff_t s, const fn_piece *piece,
                               const fn_statistic *statistic)
{
    const ptrdiff_t batch = s / p->keep, keep = s % p->keep;
    const char *x = p->x.data + batch * p->x.batch + keep * p->x.keep + piece->stretch * p->x.outer;
    char *y = p->y.data + batch * p->y.batch + keep * p->y.keep + piece->stretch * p->y.outer;
    const char *weight = NULL, *bias = NULL;
    fn_map map = {0};
    for (ptrdiff_t k = 0; k < piece->stretches; k++, x += p->x.outer, y += p->y.outer) {
        const TYPE(X) *from = (const TYPE(X) *)x + piece->start;
        TYPE(Y) *to = (TYPE(Y) *)y + piece->start;
        if (k == 0 || plan->steps) {
            weight = IN_C(parameter_at)(&p->weight, batch, piece->stretch + k, keep);
            bias = IN_C(parameter_at)(&p->bias, batch, piece->stretch + k, keep);
            if (plan->how == FN_ONE)
                map = fn_fold(statistic, IN_C(value_at)(weight, 0, 1.0), IN_C(value_at)(bias, 0, -0.0), IS_F64(C));
            else
                map = fn_fold(statistic, 1.0, -0.0, IS_F64(C));
            if (plan->how == FN_ELEMENTS && (plan->moves || !plan->bound)) {
                IN_C(bind)(weight, p->weight.segments != 0, bias, p->bias.segments != 0, &plan->parameters);
                plan->bound = 1;
            }
        }
        if (plan->how == FN_SEGMENTS)
            IN_XY(apply_segments)(p, from, to, piece->start, piece->length, weight, bias, statistic);
        else
            IN_XY(apply)
        (from, to, piece->length, &map, plan->how == FN_ELEMENTS ? &plan->parameters : NULL, piece->start,
         fn_ahead(p, piece->length * (ptrdiff_t)sizeof *from, plan->how == FN_ELEMENTS), p->stream == FN_PAST);
    }
}

/* n statistics from s on, of one batch index: their moments, then what follows from them side by side, then their
 * apply. A division and a root take longer than a short row; and short stretches are joined with their neighbours. 0,
 * and y is not written, where one of them is not plain. */
static int IN_XY(row_group)(const fn_problem *p, IN_C(plan) * plan, ptrdiff_t s, ptrdiff_t n)
{
    const ptrdiff_t batch = s / p->keep, keep = s % p->keep, length = p->segments * p->run;
    const char *weight = IN_C(parameter_at)(&p->weight, batch, 0, keep);
    const char *bias = IN_C(parameter_at)(&p->bias, batch, 0, keep);
    double moments[3 * FN_GROUP_ROWS], weights[FN_GROUP_ROWS], biases[FN_GROUP_ROWS];
    TYPE(C) mean[FN_GROUP_ROWS], scale[FN_GROUP_ROWS], shift[FN_GROUP_ROWS];
    if (plan->how == FN_ONE) {
        for (ptrdiff_t i = 0; i < n; i++) {
            weights[i] = IN_C(value_at)(weight, i * p->weight.keep, 1.0);
            biases[i] = IN_C(value_at)(bias, i * p->bias.keep, -0.0);
        }
    } else {
        for (ptrdiff_t i = 0; i < n; i++) {
            weights[i] = 1.0;
            biases[i] = -0.0;
        }
    }
    if (p->statistic != FN_GIVEN)
        IN_X(group_moments)(p, s, n, moments, moments + n, moments + 2 * n);
    if (!IN_C(finish_plain)(p, s, n, moments, weights, biases, mean, scale, shift))
        return 0;
    if (!p->y.data)
        return 1;
    if (plan->how == FN_ELEMENTS && (plan->moves || !plan->bound))
        IN_C(bind_group)(p, weight, bias, plan);
    const char *x = (const char *)IN_X(locate)(p, s, 0, 0);
    char *y = p->y.data + batch * p->y.batch + keep * p->y.keep;
    const ptrdiff_t bytes = n * length * (ptrdiff_t)sizeof(TYPE(X));
    const ptrdiff_t ahead = p->outer > 1 ? p->x.outer : fn_ahead(p, bytes, plan->how == FN_ELEMENTS);
    const int past = p->stream >= FN_PAST_JOINED;
    const int joined = IN_XY(joins) && plan->how == FN_ONE && n > 1 && length >= LANES &&
                       p->x.keep == length * (ptrdiff_t)sizeof(TYPE(X)) &&
                       p->y.keep == length * (ptrdiff_t)sizeof(TYPE(Y));
    for (ptrdiff_t k = 0; k < p->outer; k++, x += p->x.outer, y += p->y.outer) {
        if (joined)
            IN_XY(map_joined_rows)((const TYPE(X) *)x, (TYPE(Y) *)y, n, length, mean, scale, shift,
                                   past && p->outer == 1 ? bytes : ahead, past);
        else
            IN_XY(map_rows)(x, p->x.keep, y, p->y.keep, n, length, mean, scale, shift,
                            plan->how == FN_ELEMENTS ? &plan->parameters : NULL, 0, ahead, p->stream == FN_PAST);
    }
    return 1;
}

static void IN_XY(rows)(const fn_problem *p, ptrdiff_t first, ptrdiff_t last)
{
    const fn_piece whole = {.stretches = p->outer, .length = p->segments * p->run};
    IN_C(plan) plan;
    TYPE(C) room[IN_C(parameter_room)];
    IN_C(make_plan)(p, &plan);
    if (last - first >= 8 && p->stream != FN_PAST) /* past the caches rows start anywhere in a line */
        plan.room = room;
    for (ptrdiff_t s = first, next; s < last; s = next) {
        const ptrdiff_t left = last - s, in_batch = p->keep - s % p->keep;
        next = s + (plan.group ? fn_least(plan.group, fn_least(left, in_batch)) : fn_least(plan.ready, left));
        if (plan.group && IN_XY(row_group)(p, &plan, s, next - s))
            continue;
        for (ptrdiff_t to; s < next; s = to) {
            fn_statistic statistic[FN_READY];
            to = fn_least(s + plan.ready, next);
            IN_X(row_statistics)(p, s, to - s, statistic);
            for (ptrdiff_t i = s; i < to && p->y.data; i++)
                IN_XY(apply_piece)(p, &plan, i, &whole, &statistic[i - s]);
        }
    }
    if (p->stream >= FN_PAST_JOINED)
        vec_fence();
}

static void IN_XY(piece_apply)(const fn_problem *p, ptrdiff_t s, ptrdiff_t index, const fn_statistic *statistic)
{
    const fn_piece piece = fn_get_apply_piece(p, index);
    IN_C(plan) plan;
    IN_C(make_plan)(p, &plan);
    IN_XY(apply_piece)(p, &plan, s, &piece, statistic);
    if (p->stream >= FN_PAST_JOINED)
        vec_fence();
}
