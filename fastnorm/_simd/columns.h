/* Moments of statistics that lie side by side, and what maps each, for storage type X in arithmetic type C.
 *
 * A template, after column_rescue.h. The same blocked single-pass Welford as moments.h with rows in place of elements:
 * vectors run across the statistics, so a lane is a statistic, no lanes are summed, and which columns share a vector or
 * a tile changes no bit. Eight rows are summed as a tree before they meet the running sums, which saves 7 of 8 loads
 * and stores of those and keeps the chain of roundings short.
 *
 * A statistic is segments * run neighbouring columns (group norm, channels last), and as many again for each of `side`
 * outer positions in one row (images of 3 channels, whose rows would leave most of a vector empty): those are merged in
 * the order of their index.
 */

/* Sum and sum of squares of rows first to first + 3 of 8 in one vector of columns; those from n on count as 0. */
static inline __attribute__((always_inline)) void IN_X(add_four)(const char *x, ptrdiff_t stride, ptrdiff_t ahead,
                                                                 int first, int n, ptrdiff_t c, ptrdiff_t width, VEC s,
                                                                 VEC *sum, VEC *square)
{
    VEC d[4];
    for (int i = 0; i < 4; i++) {
        d[i] = V(set1)(0);
        if (first + i < n) {
            const TYPE(X) *row = IN_X(row_at)(x, stride, first + i) + c;
            vec_prefetch(row, ahead, LANES * sizeof *row);
            d[i] = V(sub)(IN_X(load_some)(row, width - c, s), s);
        }
    }
    *sum = V(add)(V(add)(d[0], d[1]), V(add)(d[2], d[3]));
    *square = V(fma)(d[0], d[0], V(set1)(0));
    for (int i = 1; i < 4; i++)
        *square = V(fma)(d[i], d[i], *square);
}

/* n of up to 8 rows into the sums. */
static inline __attribute__((always_inline)) void IN_X(add_group)(const char *x, ptrdiff_t stride, ptrdiff_t ahead,
                                                                  const int n, ptrdiff_t width, const int squares,
                                                                  const TYPE(C) * shift, TYPE(C) * sum,
                                                                  TYPE(C) * square)
{
    for (ptrdiff_t c = 0; c < width; c += LANES) {
        const VEC s = squares ? V(set1)(0) : LOAD(C)(shift + c);
        VEC sum_low, sum_high, square_low, square_high;
        IN_X(add_four)(x, stride, ahead, 0, n, c, width, s, &sum_low, &square_low);
        IN_X(add_four)(x, stride, ahead, 4, n, c, width, s, &sum_high, &square_high);
        STORE(C)(square + c, V(add)(LOAD(C)(square + c), V(add)(square_low, square_high)));
        if (!squares)
            STORE(C)(sum + c, V(add)(LOAD(C)(sum + c), V(add)(sum_low, sum_high)));
    }
}

static FN_APART void IN_X(add_rows)(const char *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, int squares,
                                    const TYPE(C) * shift, TYPE(C) * sum, TYPE(C) * square)
{
    memset(sum, 0, (size_t)width * sizeof *sum);
    memset(square, 0, (size_t)width * sizeof *square);
    const ptrdiff_t ahead = fn_rows_ahead(stride);
    ptrdiff_t r = 0;
    for (; r + FN_ROW_GROUP <= rows; r += FN_ROW_GROUP) {
        if (squares)
            IN_X(add_group)(x + r * stride, stride, ahead, FN_ROW_GROUP, width, 1, shift, sum, square);
        else
            IN_X(add_group)(x + r * stride, stride, ahead, FN_ROW_GROUP, width, 0, shift, sum, square);
    }
    if (r < rows)
        IN_X(add_group)(x + r * stride, stride, ahead, (int)(rows - r), width, squares, shift, sum, square);
}

/* The other sums. */
static void IN_X(extend_rows)(const char *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, int sums,
                              TYPE(C) * first, TYPE(C) * second)
{
    TYPE(C) widened[FN_ROW_GROUP * FN_TILE];
    for (ptrdiff_t c = 0; c < width; c++) {
        first[c] = IN_C(first_start)(sums);
        second[c] = IN_C(second_start)(sums);
    }
    for (ptrdiff_t r = 0; r < rows; r += FN_ROW_GROUP) {
        const char *at = x + r * stride;
        ptrdiff_t n = rows - r < FN_ROW_GROUP ? rows - r : FN_ROW_GROUP, step = stride;
        if (sizeof(TYPE(X)) != sizeof(TYPE(C))) {
            for (ptrdiff_t i = 0; i < n; i++)
                IN_X(read)(IN_X(row_at)(at, stride, i), widened + i * width, width);
            at = (const char *)widened;
            step = width * (ptrdiff_t)sizeof *widened;
        }
        IN_C(extend_group)(at, step, n, width, sums, first, second);
    }
}

/* The mean of the first rows: a shift near the data. */
static void IN_X(pilot_rows)(const char *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, TYPE(C) * shift)
{
    const VEC zero = V(set1)(0);
    const ptrdiff_t pilot = rows < FN_ROW_PILOT ? rows : FN_ROW_PILOT;
    for (ptrdiff_t c = 0; c < width; c += LANES) {
        VEC total = zero;
        for (ptrdiff_t r = 0; r < pilot; r++)
            total = V(add)(total, IN_X(load_some)(IN_X(row_at)(x, stride, r) + c, width - c, zero));
        STORE(C)(shift + c, total);
    }
    const TYPE(C) inverse = (TYPE(C))(1.0 / (double)pilot);
    for (ptrdiff_t c = 0; c < width; c++)
        shift[c] *= inverse;
}

/* Whether some shift turned out far from its column's mean; those are moved there. */
static int IN_X(move_shift)(ptrdiff_t width, double inverse_n, TYPE(C) * shift, const TYPE(C) * sum,
                            const TYPE(C) * square)
{
    int again = 0;
    for (ptrdiff_t c = 0; c < width; c++) {
        double step = sum[c] * inverse_n;
        TYPE(C) here = shift[c], better = (TYPE(C))(here + step);
        int far = (sum[c] * step > 0.5 * square[c]) & (better != here);
        shift[c] = far ? better : here;
        again |= far;
    }
    return again;
}

/* The moments of up to FN_ROW_CHUNK rows of `width` columns, leaf by leaf. */
static void IN_X(chunk_columns)(const char *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, int sums,
                                double *mean, double *mean_lo, double *m2)
{
    TYPE(C) shift[FN_TILE], sum[FN_TILE], square[FN_TILE];
    double leaf_mean[FN_TILE], leaf_mean_lo[FN_TILE], leaf_m2[FN_TILE];
    for (ptrdiff_t r = 0; r < rows; r += FN_ROW_LEAF) {
        const ptrdiff_t n = rows - r < FN_ROW_LEAF ? rows - r : FN_ROW_LEAF;
        const double inverse_n = 1.0 / (double)n;
        double *to_mean = r ? leaf_mean : mean, *to_mean_lo = r ? leaf_mean_lo : mean_lo, *to_m2 = r ? leaf_m2 : m2;
        if (sums != FN_MOMENTS) {
            memset(sum, 0, sizeof sum);
            if (sums == FN_SUM_SQUARES)
                IN_X(add_rows)(x + r * stride, stride, n, width, 1, shift, sum, square);
            else
                IN_X(extend_rows)(x + r * stride, stride, n, width, sums, sum, square);
            for (ptrdiff_t c = 0; c < width; c++) {
                to_mean[c] = sum[c];
                to_mean_lo[c] = 0;
                to_m2[c] = square[c];
            }
        } else {
            if (r == 0)
                IN_X(pilot_rows)(x, stride, n, width, shift);
            else
                for (ptrdiff_t c = 0; c < width; c++)
                    shift[c] = (TYPE(C))mean[c];
            IN_X(add_rows)(x + r * stride, stride, n, width, 0, shift, sum, square);
            if (IN_X(move_shift)(width, inverse_n, shift, sum, square))
                IN_X(add_rows)(x + r * stride, stride, n, width, 0, shift, sum, square);
            for (ptrdiff_t c = 0; c < width; c++) {
                double step = sum[c] * inverse_n, rest = square[c] - sum[c] * step;
                to_mean[c] = fn_two_sum(shift[c], step, &to_mean_lo[c]);
                to_m2[c] = rest < 0 ? 0 : rest; /* this way round a NaN stays */
            }
        }
        if (r)
            fn_merge_columns(sums, width, (double)r, mean, mean_lo, m2, (double)n, leaf_mean, leaf_mean_lo, leaf_m2);
    }
}

/* The sums of powers of up to FN_ROW_CHUNK rows, a column at a time. */
FN_COLD static void IN_X(column_powers)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, const char *x,
                                        ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t width,
                                        double *out)
{
    const ptrdiff_t stretch = p->segments * p->run;
    for (ptrdiff_t c = 0; c < columns; c++) {
        const fn_reading reading = fn_reading_of(p, batch * p->keep + first + c % width / stretch, 0);
        out[c] = out[columns + c] = out[2 * columns + c] = 0;
        for (ptrdiff_t r = 0; r < rows; r += FN_LEAF) {
            const TYPE(X) *at = IN_X(row_at)(x, stride, r) + c;
            out[2 * columns + c] += IN_X(leaf_powers)(at, stride / (ptrdiff_t)sizeof *at,
                                                      rows - r < FN_LEAF ? rows - r : FN_LEAF, &reading);
        }
    }
}

static void IN_X(column_moments)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last, ptrdiff_t index,
                                 double *out)
{
    const ptrdiff_t rows = fn_rows(p), from = index * FN_ROW_CHUNK;
    const int left_over = from >= rows;
    const ptrdiff_t columns = fn_columns(p, first, last) / (left_over ? p->side : 1);
    const ptrdiff_t stride = left_over ? p->x.outer : p->side * p->x.outer;
    const ptrdiff_t start = left_over ? rows * p->side * p->x.outer : from * stride;
    const ptrdiff_t n = left_over ? p->outer % p->side : rows - from < FN_ROW_CHUNK ? rows - from : FN_ROW_CHUNK;
    const char *x = IN_X(column_at)(p, batch, first) + start;
    if (p->statistic == FN_NORM_POWER)
        IN_X(column_powers)(p, batch, first, x, stride, n, columns, fn_columns(p, first, last) / p->side, out);
    else
        IN_X(chunk_columns)(x, stride, n, columns, fn_sums_of(p->statistic), out, out + columns, out + 2 * columns);
}

/* One statistic from its columns of `acc` (3 * columns doubles), and of the rows left over. */
static void IN_X(column_statistic)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                                   ptrdiff_t keep, const double *acc, const double *rest, IN_CC(column_ranges) * ranges,
                                   fn_statistic *out)
{
    const ptrdiff_t s = batch * p->keep + keep, stretch = p->segments * p->run;
    const ptrdiff_t columns = fn_columns(p, first, last), width = columns / p->side;
    if (p->statistic == FN_GIVEN) {
        fn_given(p->mean[s], p->rstd[s], IS_F64(C), out);
        return;
    }
    fn_moments moments = {0};
    const double *part = acc, counts[] = {(double)fn_rows(p), (double)(p->outer % p->side)};
    for (int of = 0; of < 2 && part; of++, part = of == 1 ? rest : NULL) {
        const ptrdiff_t all = of == 0 ? columns : width;
        for (ptrdiff_t side = 0; side < all; side += width) {
            for (ptrdiff_t c = side + (keep - first) * stretch, end = c + stretch; c < end; c++) {
                const fn_moments one = {counts[of], part[c], part[all + c], part[2 * all + c]};
                if (moments.count == 0)
                    moments = one;
                else
                    fn_merge(fn_sums_of(p->statistic), &moments, &one);
            }
        }
    }
    if (!fn_finish(p, &moments, IS_F64(C), out))
        IN_X(column_rescue)(p, batch, first, last, keep, ranges, out);
    fn_report(p, s, out);
}

static void IN_X(column_finish)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                                const double *moments, const double *rest, fn_column_map *out)
{
    const ptrdiff_t columns = fn_columns(p, first, last), stretch = p->segments * p->run, width = columns / p->side;
    double weight[FN_TILE], bias[FN_TILE];
    TYPE(C) *mean = out->mean.C, *scale = out->scale.C, *shift = out->shift.C;
    IN_C(column_parameters)(p, &p->weight, batch, first, last, 1.0, weight);
    IN_C(column_parameters)(p, &p->bias, batch, first, last, -0.0, bias);
    IN_CC(column_ranges) ranges;
    ranges.known = out->unusual = 0;
    out->upper = p->upper;
    const int is_plain =
        columns == last - first && IN_C(has_plain)(p) &&
        IN_C(finish_plain)(p, batch * p->keep + first, width, moments, weight, bias, mean, scale, shift);
    for (ptrdiff_t k = is_plain ? last : first; k < last; k++) {
        fn_statistic statistic;
        IN_X(column_statistic)(p, batch, first, last, k, moments, rest, &ranges, &statistic);
        for (ptrdiff_t j = 0; j < stretch; j++) {
            const ptrdiff_t in_width = (k - first) * stretch + j;
            const fn_map map = fn_fold(&statistic, weight[in_width], bias[in_width], IS_F64(C));
            for (ptrdiff_t c = in_width; c < columns; c += width) {
                mean[c] = (TYPE(C))map.mean;
                scale[c] = (TYPE(C))map.scale;
                shift[c] = (TYPE(C))map.shift;
                if (map.mode != FN_PLAIN) {
                    out->mode[out->unusual] = (int8_t)map.mode;
                    out->exponent[out->unusual] = (int16_t)map.exponent;
                    out->column[out->unusual++] = (int16_t)c;
                }
            }
        }
    }
    STORE(C)(mean + columns, LOAD(C)(mean));
    STORE(C)(scale + columns, LOAD(C)(scale));
    STORE(C)(shift + columns, LOAD(C)(shift));
}

/* All of it, with room for 2 * 3 * FN_TILE doubles: parts are merged as they come. */
static void IN_X(column_all)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last, double *room,
                             fn_column_map *out)
{
    const ptrdiff_t columns = fn_columns(p, first, last), n_parts = fn_row_parts(p);
    double *part = room + 3 * columns, *rest = NULL;
    if (p->statistic != FN_GIVEN) {
        IN_X(column_moments)(p, batch, first, last, 0, room);
        for (ptrdiff_t index = 1; index < n_parts; index++) {
            IN_X(column_moments)(p, batch, first, last, index, part);
            fn_merge_part(p, columns, index, room, part);
        }
        if (p->outer % p->side) {
            rest = part;
            IN_X(column_moments)(p, batch, first, last, n_parts, rest);
        }
    }
    IN_X(column_finish)(p, batch, first, last, room, rest, out);
}
