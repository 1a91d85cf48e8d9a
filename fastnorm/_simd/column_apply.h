/* The columns kernel: statistics side by side, and their apply, from X to Y in arithmetic type C.
 *
 * A template, after columns.h. As map.h, with a mean, a scale and a shift for each lane.
 */

/* Columns c to c + n, less than one vector. The map has room for whole ones; parameters may not. */
static FN_APART void IN_XY(map_columns_part)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t c, ptrdiff_t n,
                                             const fn_column_map *map, const IN_C(row_parameters) * row, int how)
{
    VEC value = V(sub)(LOAD_PART(X)(x + c, n), LOAD(C)(map->mean.C + c));
    value = V(fma)(value, LOAD(C)(map->scale.C + c), LOAD(C)(map->shift.C + c));
    if (how == FN_ONE)
        value = V(fma)(value, row->one_weight, row->one_bias);
    else if (how == FN_ELEMENTS)
        value = V(fma)(value, LOAD_PART(C)(row->weight + c * row->weight_step, n),
                       LOAD_PART(C)(row->bias + c * row->bias_step, n));
    STORE_PART(Y)(y + c, V(min)(V(set1)((TYPE(C))map->upper), value), n); /* see map_joined */
}

/* Columns c on, so many whole vectors, and a call for the lines of the next row. Read before written: see map.h. */
static inline __attribute__((always_inline)) void IN_XY(map_column_vectors)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t c,
                                                                            const int vectors, const fn_column_map *map,
                                                                            const IN_C(row_parameters) * row,
                                                                            ptrdiff_t next_x, ptrdiff_t next_y,
                                                                            const int how, const int stream)
{
    VEC value[4];
    vec_prefetch(x + c, next_x, vectors * LANES * sizeof *x);
    if (!stream)
        vec_prefetch(y + c, next_y, vectors * LANES * sizeof *y); /* a store waits for its line, too */
    for (int k = 0; k < vectors; k++) {
        const ptrdiff_t at = c + k * LANES;
        value[k] = V(fma)(V(sub)(LOAD(X)(x + at), LOAD(C)(map->mean.C + at)), LOAD(C)(map->scale.C + at),
                          LOAD(C)(map->shift.C + at));
        if (how == FN_ONE)
            value[k] = V(fma)(value[k], row->one_weight, row->one_bias);
        else if (how == FN_ELEMENTS)
            value[k] = V(fma)(value[k], LOAD(C)(row->weight + at * row->weight_step),
                              LOAD(C)(row->bias + at * row->bias_step));
    }
    for (int k = 0; k < vectors; k++) {
        if (stream)
            STREAM(Y)(y + c + k * LANES, value[k]);
        else
            STORE(Y)(y + c + k * LANES, value[k]);
    }
}

/* n columns of one row, and a call for the lines of the next one. */
static inline __attribute__((always_inline)) void IN_XY(map_columns)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n,
                                                                     const fn_column_map *map,
                                                                     const IN_C(row_parameters) * row, ptrdiff_t next_x,
                                                                     ptrdiff_t next_y, const int how, const int stream)
{
    ptrdiff_t c = 0;
    if (stream) {
        c = fn_least(fn_lead(y, LANES, sizeof *y), n);
        if (c > 0) {
            IN_XY(map_columns_part)(x, y, 0, c, map, row, how);
            vec_prefetch(y, next_y, 1); /* the line is shared with what lies before: it is read before it is written */
        }
        if ((uintptr_t)(y + n) % (LANES * sizeof *y))
            vec_prefetch(y + n, next_y, 1);
    }
    for (; stream && IN_XY(unrolled) && c + 4 * LANES <= n; c += 4 * LANES)
        IN_XY(map_column_vectors)(x, y, c, 4, map, row, next_x, next_y, how, stream);
    for (; c + LANES <= n; c += LANES)
        IN_XY(map_column_vectors)(x, y, c, 1, map, row, next_x, next_y, how, stream);
    if (c < n)
        IN_XY(map_columns_part)(x, y, c, n - c, map, row, how);
}

/* Elements of rows that follow one another without a gap, n of them from the first column on, as if they were one row:
 * all vectors are whole, and those of y are aligned. They are cut off at the upper end of a range, which is infinite in
 * all norms but one. */
static FN_APART void IN_XY(map_joined)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, ptrdiff_t columns,
                                       const fn_column_map *map, int stream)
{
    const VEC upper = V(set1)((TYPE(C))map->upper);
    const TYPE(C) *mean = map->mean.C, *scale = map->scale.C, *shift = map->shift.C;
    TYPE(C) room[FN_PAGE / sizeof(TYPE(C)) + 3 * FN_TILE_ROOM] __attribute__((aligned(FN_LINE)));
    ptrdiff_t i = fn_least(fn_lead(y, LANES, sizeof *y), n), c = i;
    if (i > 0)
        IN_XY(map_columns_part)(x, y, 0, i, map, NULL, FN_IN_MAP);
    if (columns % LANES == 0 && n >= 4 * columns) {
        TYPE(C) *at = room + ((uintptr_t)(y + i) - (uintptr_t)room + FN_LEAD) % FN_PAGE / sizeof *room;
        mean = IN_C(turn)(mean, columns, i, at);
        scale = IN_C(turn)(scale, columns, i, at + FN_TILE_ROOM);
        shift = IN_C(turn)(shift, columns, i, at + 2 * FN_TILE_ROOM);
        c = 0;
    }
    for (; i + LANES <= n; i += LANES) {
        c = c >= columns ? c - columns : c;
        vec_prefetch(x + i, FN_NEAR, LANES * sizeof *x);
        if (!stream)
            vec_prefetch(y + i, FN_NEAR_STORES, LANES * sizeof *y);
        VEC value = V(sub)(LOAD(X)(x + i), LOAD(C)(mean + c));
        value = V(min)(upper, V(fma)(value, LOAD(C)(scale + c), LOAD(C)(shift + c)));
        if (stream)
            STREAM(Y)(y + i, value);
        else
            STORE(Y)(y + i, value);
        c += LANES;
    }
    c = i % columns;
    if (i < n)
        IN_XY(map_columns_part)(x + i - c, y + i - c, c, n - i, map, NULL, FN_IN_MAP);
}

/* As map_joined, of rows that each have a weight and a bias of their own, `gap` bytes from one's to the next. A vector
 * lies in two rows at most. */
static FN_APART void IN_XY(map_joined_ones)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t rows, ptrdiff_t columns,
                                            const fn_column_map *map, const char *weight, ptrdiff_t weight_gap,
                                            const char *bias, ptrdiff_t bias_gap, int stream)
{
    IN_C(row_parameters)
    row = {.one_weight = V(set1)((TYPE(C))IN_C(value_at)(weight, 0, 1.0)),
           .one_bias = V(set1)((TYPE(C))IN_C(value_at)(bias, 0, -0.0))};
    const ptrdiff_t n = rows * columns;
    ptrdiff_t i = fn_lead(y, LANES, sizeof *y), c = i;
    if (i > 0)
        IN_XY(map_columns_part)(x, y, 0, i, map, &row, FN_ONE);
    for (ptrdiff_t r = 1; i + LANES <= n; i += LANES) {
        VEC one_weight = row.one_weight, one_bias = row.one_bias;
        const ptrdiff_t left = columns - c;
        if (left <= LANES && r < rows) {
            row.one_weight = V(set1)((TYPE(C))IN_C(value_at)(weight, r * weight_gap, 1.0));
            row.one_bias = V(set1)((TYPE(C))IN_C(value_at)(bias, r * bias_gap, -0.0));
            r++;
        }
        if (left < LANES) {
            one_weight = V(keep)(one_weight, row.one_weight, left);
            one_bias = V(keep)(one_bias, row.one_bias, left);
        }
        vec_prefetch(x + i, FN_NEAR, LANES * sizeof *x);
        if (!stream)
            vec_prefetch(y + i, FN_NEAR_STORES, LANES * sizeof *y);
        VEC value = V(sub)(LOAD(X)(x + i), LOAD(C)(map->mean.C + c));
        value = V(fma)(value, LOAD(C)(map->scale.C + c), LOAD(C)(map->shift.C + c));
        value = V(fma)(value, one_weight, one_bias);
        if (stream)
            STREAM(Y)(y + i, value);
        else
            STORE(Y)(y + i, value);
        c = left <= LANES ? LANES - left : c + LANES;
    }
    if (i < n)
        IN_XY(map_columns_part)(x + i - c, y + i - c, c, n - i, map, &row, FN_ONE);
}

/* One row with columns that are not FN_PLAIN, in parts: not worth a fast loop of its own. */
FN_COLD static void IN_XY(map_unusual_columns)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_column_map *map,
                                               const IN_C(row_parameters) * row, int how)
{
    TYPE(C) scratch[FN_TILE];
    IN_X(prepare_row)(x, n, map, scratch);
    for (ptrdiff_t c = 0; c < n; c += LANES - 1)
        IN_CY(map_columns_part)(scratch, y, c, fn_least(n - c, LANES - 1), map, row, how);
}

/* Rows from <= r < to: of `side` outer positions each, or of one where parameters differ from row to row; beyond the
 * last row of `side` positions, of those left over. */
static inline __attribute__((always_inline)) void
IN_XY(map_column_rows)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last, ptrdiff_t from,
                       ptrdiff_t to, const fn_column_map *map, const int how, const int stream)
{
    const ptrdiff_t columns = fn_columns(p, first, last), width = columns / p->side, rows = fn_rows(p);
    const fn_operand *w = &p->weight, *b = &p->bias;
    const ptrdiff_t next = how == FN_IN_MAP ? p->side : 1, next_y = next * p->y.outer;
    const ptrdiff_t next_x = stream && fn_fetches_tile(p, columns * (ptrdiff_t)sizeof(TYPE(X)), last)
                                 ? columns * (ptrdiff_t)sizeof(TYPE(X))
                                 : next * p->x.outer;
    IN_C(parameters) bound;
    for (ptrdiff_t r = from; r < to; r++) {
        const ptrdiff_t outer = fn_row_position(p, r), positions = r < rows ? p->side : 1;
        const ptrdiff_t step = how == FN_IN_MAP ? positions : 1, length = how == FN_IN_MAP ? positions * width : width;
        for (ptrdiff_t o = outer; o < outer + positions; o += step) {
            const TYPE(X) *x = (const TYPE(X) *)(IN_X(column_at)(p, batch, first) + o * p->x.outer);
            TYPE(Y) *y = (TYPE(Y) *)(p->y.data + batch * p->y.batch + first * p->y.keep + o * p->y.outer);
            const char *weight = IN_C(parameter_at)(w, batch, o, first), *bias = IN_C(parameter_at)(b, batch, o, first);
            IN_C(row_parameters) row = {0};
            if (how == FN_ONE) {
                row.one_weight = V(set1)((TYPE(C))IN_C(value_at)(weight, 0, 1.0));
                row.one_bias = V(set1)((TYPE(C))IN_C(value_at)(bias, 0, -0.0));
            } else if (how == FN_ELEMENTS) {
                IN_C(bind)(weight, w->keep || w->segments, bias, b->keep || b->segments, &bound);
                row.weight = bound.weight;
                row.bias = bound.bias;
                row.weight_step = bound.weight_step;
                row.bias_step = bound.bias_step;
            }
            if (map->unusual) {
                IN_XY(map_unusual_columns)(x, y, length, map, &row, how);
            } else {
                IN_XY(map_columns)(x, y, length, map, &row, next_x, next_y, how, stream);
            }
            if (map->upper < (double)INFINITY)
                IN_CY(cut_off)(y, length, map->upper);
        }
    }
}

static int IN_XY(is_joined)(const fn_problem *p, ptrdiff_t first, ptrdiff_t last, const fn_column_map *map)
{
    const ptrdiff_t width = p->keep * p->segments * p->run;
    return first == 0 && last == p->keep && !map->unusual && p->x.outer == width * (ptrdiff_t)sizeof(TYPE(X)) &&
           p->y.outer == width * (ptrdiff_t)sizeof(TYPE(Y));
}

static void IN_XY(column_apply)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last, ptrdiff_t from,
                                ptrdiff_t to, const fn_column_map *map)
{
    const fn_operand *w = &p->weight, *b = &p->bias;
    const int along = w->keep || w->segments || b->keep || b->segments;
    const int stream = vec_streams && p->stream == FN_PAST, past = p->stream >= FN_PAST_JOINED;
    const ptrdiff_t width = p->keep * p->segments * p->run;
    const ptrdiff_t start = fn_row_position(p, from), positions = fn_row_position(p, to) - start;
    const TYPE(X) *x = (const TYPE(X) *)(IN_X(column_at)(p, batch, first) + start * p->x.outer);
    TYPE(Y) *y = (TYPE(Y) *)(p->y.data + batch * p->y.batch + first * p->y.keep + start * p->y.outer);
    const int joined = IN_XY(joins) && IN_XY(is_joined)(p, first, last, map);
    if (joined && !(w->outer || b->outer) && p->side * width >= LANES) {
        IN_XY(map_joined)(x, y, positions * width, p->side * width, map, past);
    } else if (joined && !along && width >= LANES) {
        IN_XY(map_joined_ones)(x, y, positions, width, map, IN_C(parameter_at)(w, batch, start, 0), w->outer,
                               IN_C(parameter_at)(b, batch, start, 0), b->outer, past);
    } else if (!(w->outer || b->outer) && stream)
        IN_XY(map_column_rows)(p, batch, first, last, from, to, map, FN_IN_MAP, 1);
    else if (!(w->outer || b->outer))
        IN_XY(map_column_rows)(p, batch, first, last, from, to, map, FN_IN_MAP, 0);
    else if (along)
        IN_XY(map_column_rows)(p, batch, first, last, from, to, map, FN_ELEMENTS, stream);
    else if (stream)
        IN_XY(map_column_rows)(p, batch, first, last, from, to, map, FN_ONE, 1);
    else
        IN_XY(map_column_rows)(p, batch, first, last, from, to, map, FN_ONE, 0);
    if (p->stream >= FN_PAST_JOINED)
        vec_fence();
}

static void IN_XY(columns)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last)
{
    double room[2 * 3 * FN_TILE];
    fn_column_map map __attribute__((aligned(FN_LINE))); /* three loads for each vector: 0.85 to 1.0 of the time */
    IN_X(column_all)(p, batch, first, last, room, &map);
    if (p->y.data)
        IN_XY(column_apply)(p, batch, first, last, 0, fn_rows(p) + p->outer % p->side, &map);
}
