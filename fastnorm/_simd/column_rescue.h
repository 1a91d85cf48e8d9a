/* Unusual data of statistics that lie side by side (NaN, infinite, zero, near the ends of the range), for storage type
 * X in arithmetic type C: what chunk.h does along a stretch, down the columns of a tile.
 *
 * A template, after chunk.h. Features that are zero throughout are common, and one bad column must not cost its tile
 * much: a tile is surveyed as it lies in memory, once, and only unusual columns are then gathered or rewritten.
 */

static inline const TYPE(X) * IN_X(row_at)(const char *x, ptrdiff_t stride, ptrdiff_t row)
{
    return (const TYPE(X) *)(x + row * stride);
}

static const char *IN_X(column_at)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t keep)
{
    return p->x.data + batch * p->x.batch + keep * p->x.keep;
}

/* fn_range for columns side by side. Room beyond FN_TILE keeps the three from lying a multiple of 4096 bytes apart,
 * where processors take a load from one for a load of what was just stored in another, and wait: half the speed. */
typedef struct {
    TYPE(C) high[FN_TILE_ROOM], low[FN_TILE_ROOM], nan[FN_TILE_ROOM]; /* of 0 and the data; 1 where there is a NaN */
    int known;
} IN_X(column_ranges);

static FN_APART void IN_X(survey_row)(const TYPE(C) *restrict row, ptrdiff_t width, IN_X(column_ranges) * out)
{
    for (ptrdiff_t c = 0; c < width; c++) {
        out->high[c] = row[c] > out->high[c] ? row[c] : out->high[c];
        out->low[c] = row[c] < out->low[c] ? row[c] : out->low[c];
        out->nan[c] = row[c] != row[c] ? 1 : out->nan[c];
    }
}

/* All columns of a tile, row by row: those of one alone would read as many lines of memory. */
static FN_APART void IN_X(survey_columns)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                                          IN_CC(column_ranges) * out)
{
    const ptrdiff_t columns = fn_columns(p, first, last), width = columns / p->side, rows = fn_rows(p);
    const ptrdiff_t left_over = rows * p->side; /* the first outer position that is */
    TYPE(C) row[FN_TILE_ROOM];
    memset(out, 0, sizeof *out);
    for (ptrdiff_t o = 0; o < p->outer; o += o < left_over ? p->side : 1) {
        const ptrdiff_t here = o < left_over ? columns : width;
        IN_X(read)(IN_X(row_at)(IN_X(column_at)(p, batch, first), p->x.outer, o), row, here);
        IN_CC(survey_row)(row, here, out);
    }
    out->known = 1;
}

/* Unusual data of one statistic: gathered leaf by leaf, then as in rescue. */
FN_COLD static void IN_X(column_rescue)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                                        ptrdiff_t keep, IN_CC(column_ranges) * ranges, fn_statistic *out)
{
    const TYPE(X) *row = (const TYPE(X) *)IN_X(column_at)(p, batch, keep);
    const ptrdiff_t stretch = p->segments * p->run, n = p->outer * stretch;
    const ptrdiff_t columns = fn_columns(p, first, last), width = columns / p->side;
    fn_range range = {0};
    fn_moments moments = {0};
    if (!ranges->known)
        IN_X(survey_columns)(p, batch, first, last, ranges);
    for (ptrdiff_t side = (keep - first) * stretch; side < columns; side += width) {
        for (ptrdiff_t c = side; c < side + stretch; c++) {
            fn_range_add(&range, ranges->high[c]);
            fn_range_add(&range, ranges->low[c]);
            range.nan |= ranges->nan[c] != 0;
        }
    }
    if (!fn_rescue_plan(p, &range, out))
        return;
    const fn_reading reading = fn_reading_of(p, batch * p->keep + keep, 0);
    moments.count = (double)n;
    for (ptrdiff_t i = 0, c = 0, length; i < n && range.largest > 0; i += length) { /* zeros have nothing to sum */
        TYPE(X) gathered[FN_LEAF];
        TYPE(C) scratch[FN_LEAF];
        fn_moments leaf;
        length = n - i < FN_LEAF ? n - i : FN_LEAF;
        for (ptrdiff_t j = 0; j < length; j++) {
            gathered[j] = row[c];
            if (++c == stretch) {
                c = 0;
                row = IN_X(row_at)((const char *)row, p->x.outer, 1);
            }
        }
        IN_X(scale)(gathered, length, out->exponent, scratch);
        IN_CC(leaf_of)(scratch, 1, 0, length, &reading, &leaf);
        if (i == 0)
            moments = leaf;
        else
            fn_merge(reading.sums, &moments, &leaf);
    }
    fn_rescue_finish(p, &moments, IS_F64(C), out);
}

/* A row whose columns are not all plain, as the map wants it. */
static FN_APART void IN_X(prepare_row)(const TYPE(X) * x, ptrdiff_t width, const fn_column_map *map, TYPE(C) * scratch)
{
    IN_X(read)(x, scratch, width);
    for (int i = 0; i < map->unusual; i++) {
        const ptrdiff_t c = map->column[i];
        if (c >= width) /* of a position that this row lacks */
            continue;
        if (map->mode[i] == FN_SCALED)
            IN_X(scale)(x + c, 1, map->exponent[i], scratch + c);
        else
            IN_X(blank)(x + c, 1, map->mode[i], scratch + c);
    }
}
