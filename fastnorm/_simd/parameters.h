/* Weight and bias where they meet the data, in arithmetic type C.
 *
 * A template, once for each C. Parameters that vary from element to element are bound so that one loop serves all their
 * shapes: one that is absent or does not vary becomes a block of one vector that every step reads again (step 0). The
 * others are single values, folded into the map. The neutral bias is -0.0, which keeps the sign of a zero.
 */
typedef struct {
    const TYPE(C) * weight, *bias;
    ptrdiff_t weight_step, bias_step;
    TYPE(C) weight_block[LANES], bias_block[LANES];
} IN_C(parameters);

static inline double IN_C(value_at)(const char *at, ptrdiff_t offset, double neutral)
{
    return at ? (double)*(const TYPE(C) *)(at + offset) : neutral;
}

static inline const char *IN_C(parameter_at)(const fn_operand *parameter, ptrdiff_t batch, ptrdiff_t outer,
                                             ptrdiff_t keep)
{
    return parameter->data
               ? parameter->data + batch * parameter->batch + outer * parameter->outer + keep * parameter->keep
               : NULL;
}

static const TYPE(C) * IN_C(bind_one)(const char *at, int varies, TYPE(C) neutral, TYPE(C) * block, ptrdiff_t *step)
{
    *step = at && varies;
    if (*step)
        return (const TYPE(C) *)at;
    TYPE(C) value = at ? *(const TYPE(C) *)at : neutral;
    for (int i = 0; i < LANES; i++)
        block[i] = value;
    return block;
}

/* weight and bias point to what parameter_at gave; the *_varies say whether they go from element to element. */
static void IN_C(bind)(const char *weight, int weight_varies, const char *bias, int bias_varies, IN_C(parameters) * out)
{
    out->weight = IN_C(bind_one)(weight, weight_varies, 1, out->weight_block, &out->weight_step);
    out->bias = IN_C(bind_one)(bias, bias_varies, (TYPE(C)) - 0.0, out->bias_block, &out->bias_step);
}

/* One row of statistics side by side: FN_ELEMENTS has pointers and steps, FN_ONE two vectors. */
typedef struct {
    const TYPE(C) * weight, *bias;
    ptrdiff_t weight_step, bias_step;
    VEC one_weight, one_bias;
} IN_C(row_parameters);
