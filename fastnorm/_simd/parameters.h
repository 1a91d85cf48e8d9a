/* Weight and bias of one statistic, in arithmetic type C, so that one loop serves all their shapes.
 *
 * A template, once for each C. Absent parameters, and ones that are constant along run, become a block of one vector
 * that every step reads again (step 0); the neutral bias is -0.0, which keeps the sign of a zero.
 */
typedef struct {
    const TYPE(C) * weight, *bias;
    ptrdiff_t weight_step, bias_step;
    int present;
    TYPE(C) weight_block[LANES], bias_block[LANES];
} IN_C(parameters);

static const TYPE(C) * IN_C(bind_one)(const fn_operand *parameter, ptrdiff_t batch, ptrdiff_t keep, int constant,
                                      TYPE(C) neutral, TYPE(C) * block, ptrdiff_t *step)
{
    const TYPE(C) *at = NULL;
    if (parameter->data)
        at = (const TYPE(C) *)(parameter->data + batch * parameter->batch + keep * parameter->keep);
    *step = at && !constant;
    if (*step)
        return at;
    TYPE(C) value = at ? *at : neutral;
    for (int i = 0; i < LANES; i++)
        block[i] = value;
    return block;
}

static void IN_C(bind)(const fn_problem *p, ptrdiff_t batch, ptrdiff_t keep, IN_C(parameters) * out)
{
    int constant = p->run > 1;
    out->present = p->weight.data || p->bias.data;
    out->weight = IN_C(bind_one)(&p->weight, batch, keep, constant, 1, out->weight_block, &out->weight_step);
    out->bias = IN_C(bind_one)(&p->bias, batch, keep, constant, (TYPE(C)) - 0.0, out->bias_block, &out->bias_step);
}
