/* The rows kernel: statistics of contiguous elements, and their apply, from X to Y in arithmetic type C.
 *
 * A template, after apply.h.
 */

/* Any statistic's elements, the unusual ones leaf by leaf through scratch. */
static void IN_XY(apply)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_statistic *s,
                         const IN_C(parameters) * parameters, ptrdiff_t offset, int stream)
{
    if (s->mode == FN_PLAIN) {
        IN_XY(map)(x, y, n, s, parameters, offset, stream);
        return;
    }
    const fn_statistic identity = {.rstd = 1, .shift = -0.0};
    TYPE(C) scratch[FN_LEAF];
    for (ptrdiff_t i = 0; i < n; i += FN_LEAF) {
        ptrdiff_t length = n - i < FN_LEAF ? n - i : FN_LEAF;
        if (s->mode == FN_SCALED) {
            IN_X(scale)(x + i, length, s->exponent, scratch);
        } else {
            for (ptrdiff_t j = 0; j < length; j++) {
                double value = FROM(f64, X)(x[i + j]);
                scratch[j] = (TYPE(C))(s->mode == FN_ZEROED && isfinite(value) ? copysign(0.0, value) : NAN);
            }
        }
        IN_CY(map)(scratch, y + i, length, s->mode == FN_SCALED ? s : &identity, parameters, offset + i, 0);
    }
}

static void IN_XY(rows)(const fn_problem *p, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t n = p->segments * p->run;
    const double inverse_n = 1.0 / (double)n;
    const int squares = p->statistic == FN_SQUARES;
    const int varies = p->weight.batch || p->weight.keep || p->bias.batch || p->bias.keep;
    ptrdiff_t batch = first / p->keep, keep = first % p->keep;
    IN_C(parameters) parameters;
    IN_C(bind)(p, batch, keep, &parameters);
    for (ptrdiff_t s = first; s < last; s++) {
        const TYPE(X) *x = (const TYPE(X) *)(p->x.data + batch * p->x.batch + keep * p->x.keep);
        TYPE(Y) *y = (TYPE(Y) *)(p->y.data + batch * p->y.batch + keep * p->y.keep);
        fn_moments moments;
        fn_statistic statistic;
        if (n <= FN_LEAF)
            IN_X(leaf)(x, n, squares, inverse_n, &moments);
        else
            IN_X(row_moments)(x, n, squares, 0, &moments);
        if (!fn_finish(&moments, inverse_n, p->eps, p->statistic, IS_F64(C), &statistic))
            IN_X(rescue)(p, x, n, inverse_n, &statistic);
        if (p->mean)
            p->mean[s] = statistic.reported_mean;
        if (p->rstd)
            p->rstd[s] = statistic.reported_rstd;
        if (varies)
            IN_C(bind)(p, batch, keep, &parameters);
        if (++keep == p->keep) {
            keep = 0;
            batch++;
        }
        IN_XY(apply)(x, y, n, &statistic, &parameters, 0, p->stream);
    }
    if (p->stream)
        vec_fence();
}

static void IN_XY(chunk_apply)(const fn_problem *p, ptrdiff_t s, ptrdiff_t start, ptrdiff_t n,
                               const fn_statistic *statistic)
{
    const ptrdiff_t batch = s / p->keep, keep = s % p->keep;
    const TYPE(X) *x = (const TYPE(X) *)(p->x.data + batch * p->x.batch + keep * p->x.keep) + start;
    TYPE(Y) *y = (TYPE(Y) *)(p->y.data + batch * p->y.batch + keep * p->y.keep) + start;
    IN_C(parameters) parameters;
    IN_C(bind)(p, batch, keep, &parameters);
    IN_XY(apply)(x, y, n, statistic, &parameters, start, p->stream);
    if (p->stream)
        vec_fence();
}
