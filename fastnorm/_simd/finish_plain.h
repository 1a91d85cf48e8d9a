/* What maps each of plain statistics that lie side by side, in arithmetic type C. A template, once for each C.
 *
 * Beside fn_finish and fn_fold, which take one statistic of any kind, because there can be as many statistics as rows
 * are long, and only branch-free loops over them become vectors: a tile of few rows spends as long here as on its data.
 * One unusual column sends its tile the other way; test_columns_beside_unusual_ones_keep_their_bits holds the two
 * together.
 */

/* Weight and bias of each column, in float64; neutral where they differ from row to row, or are absent. */
static FN_APART void IN_C(column_parameters)(const fn_problem *p, const fn_operand *parameter, ptrdiff_t batch,
                                             ptrdiff_t first, ptrdiff_t last, double neutral, double *out)
{
    const ptrdiff_t stretch = p->segments * p->run, width = (last - first) * stretch;
    const char *at = IN_C(parameter_at)(parameter, batch, 0, first);
    if (!at || p->weight.outer || p->bias.outer) {
        for (ptrdiff_t c = 0; c < width; c++)
            out[c] = neutral;
    } else if (stretch == 1 && parameter->keep == sizeof(TYPE(C))) {
        for (ptrdiff_t c = 0; c < width; c++)
            out[c] = ((const TYPE(C) *)at)[c];
    } else {
        for (ptrdiff_t c = 0; c < width; c++)
            out[c] = *(const TYPE(C) *)(at + c / stretch * parameter->keep + c % stretch * parameter->segments);
    }
}

/* Whether finish_plain knows the statistic. */
static inline int IN_C(has_plain)(const fn_problem *p)
{
    const int statistic = p->statistic;
    return statistic <= FN_SQUARES || statistic == FN_GIVEN ||
           ((statistic == FN_NORM_1 || statistic == FN_NORM_2) && !p->m2);
}

/* fn_fold for plain statistics side by side; 0, having written what does not matter, where a result is not plain.
 * centered and nought: 1 and -0.0, or 0 and 0 where the mean is not taken off. */
static inline __attribute__((always_inline)) int IN_C(fold_plain)(ptrdiff_t width, double centered, double nought,
                                                                  const double *mean, const double *mean_lo,
                                                                  const double *rstd, const double *weight,
                                                                  const double *bias, TYPE(C) * to_mean,
                                                                  TYPE(C) * to_scale, TYPE(C) * to_shift)
{
    const double smallest = IS_F64(C) ? DBL_MIN : FLT_MIN, largest = IS_F64(C) ? DBL_MAX : FLT_MAX;
    int plain = 1;
    for (ptrdiff_t c = 0; c < width; c++) {
        double exact = mean[c] * centered + nought, scale = rstd[c] * weight[c], magnitude = fabs(scale);
        TYPE(C) rounded = (TYPE(C))exact;
        double rest = (exact - rounded) + mean_lo[c] * centered;
        double without_scale = bias[c] + 0.0, with_rest = bias[c] - rest * scale; /* no branch, or no vectors */
        double shift = rest == 0 ? bias[c] : with_rest;
        plain &= ((magnitude >= smallest) & (magnitude <= largest)) | (weight[c] == 0);
        plain &= fabs(shift) <= largest;
        to_mean[c] = rounded;
        to_scale[c] = (TYPE(C))scale;
        to_shift[c] = (TYPE(C))(scale == 0 ? without_scale : shift);
    }
    return plain;
}

/* fn_finish (or fn_given), fn_report and fn_fold for statistics s <= i < s + width, from 3 * width doubles; 0, having
 * written what does not matter, where one is not plain. */
static int IN_C(finish_plain)(const fn_problem *p, ptrdiff_t s, ptrdiff_t width, const double *acc,
                              const double *weight, const double *bias, TYPE(C) * to_mean, TYPE(C) * to_scale,
                              TYPE(C) * to_shift)
{
    const double low = fn_low(IS_F64(C)), high = fn_high(IS_F64(C)), *mean = acc, *mean_lo = acc + width;
    const double *m2 = acc + 2 * width;
    const int of_mean = fn_is_centered(p->statistic) || p->statistic == FN_GIVEN;
    const double centered = of_mean ? 1 : 0, nought = of_mean ? -0.0 : 0.0; /* a given mean keeps its sign */
    const double elements = (double)(p->outer * p->segments * p->run), eps = p->eps;
    const double lost = elements * (IS_F64(C) ? 0x1p-1074 : 0x1p-149);
    double rstd[FN_TILE], none[FN_TILE];
    int plain = 1;
    if (p->statistic == FN_GIVEN) {
        mean = p->mean + s;
        for (ptrdiff_t c = 0; c < width; c++) {
            plain &= fabs(mean[c]) < fn_most_given(IS_F64(C));
            rstd[c] = p->rstd[s + c];
            none[c] = 0;
        }
        mean_lo = none;
    } else if (p->statistic == FN_NORM_1 || p->statistic == FN_NORM_2) {
        const int squares = p->statistic == FN_NORM_2;
        const double least = squares ? low : 0, most = squares ? high : DBL_MAX;
        for (ptrdiff_t c = 0; c < width; c++) {
            double root = sqrt(m2[c]), norm = squares ? root : m2[c], divisor = norm > eps ? norm : eps;
            plain &= ((m2[c] >= least) & (m2[c] <= most)) | (squares & (sqrt(m2[c] + lost) < eps));
            plain &= divisor <= 0x1p1000; /* beyond it fn_set_divisor scales the data */
            rstd[c] = 1.0 / divisor;
        }
    } else {
        for (ptrdiff_t c = 0; c < width; c++) {
            double variance = m2[c] * p->inverse_n + eps;
            plain &= (variance >= low) & (variance <= high);
            rstd[c] = 1.0 / sqrt(variance);
        }
    }
    plain &= IN_C(fold_plain)(width, centered, nought, mean, mean_lo, rstd, weight, bias, to_mean, to_scale, to_shift);
    if (p->statistic == FN_GIVEN)
        return plain;
    if (p->mean)
        memcpy(p->mean + s, mean, (size_t)width * sizeof *mean);
    if (p->rstd)
        memcpy(p->rstd + s, rstd, (size_t)width * sizeof *rstd);
    if (p->m2)
        memcpy(p->m2 + s, m2, (size_t)width * sizeof *m2);
    return plain;
}

/* fn_fold for n <= FN_GROUP_ROWS segments of one plain statistic, from their weight and bias on. */
static FN_APART int IN_C(fold_segments)(const fn_problem *p, ptrdiff_t n, const fn_statistic *s, const char *weight,
                                        const char *bias, TYPE(C) * to_mean, TYPE(C) * to_scale, TYPE(C) * to_shift)
{
    double mean[FN_GROUP_ROWS], mean_lo[FN_GROUP_ROWS], rstd[FN_GROUP_ROWS];
    double weights[FN_GROUP_ROWS], biases[FN_GROUP_ROWS];
    for (ptrdiff_t i = 0; i < n; i++) {
        mean[i] = s->mean;
        mean_lo[i] = s->mean_lo;
        rstd[i] = s->rstd;
        weights[i] = IN_C(value_at)(weight, i * p->weight.segments, 1.0);
        biases[i] = IN_C(value_at)(bias, i * p->bias.segments, -0.0);
    }
    return IN_C(fold_plain)(n, 1, -0.0, mean, mean_lo, rstd, weights, biases, to_mean, to_scale, to_shift);
}

/* The numbers of columns that come round, from the first-th on: where those of y start that are written as whole
 * vectors, so that these are aligned with them. */
static FN_APART const TYPE(C) * IN_C(turn)(const TYPE(C) * from, ptrdiff_t columns, ptrdiff_t first, TYPE(C) * to)
{
    memcpy(to, from + first, (size_t)(columns - first) * sizeof *to);
    memcpy(to + columns - first, from, (size_t)first * sizeof *to);
    return to;
}
