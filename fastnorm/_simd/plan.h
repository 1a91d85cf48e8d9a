/* How the rows kernel walks a problem in arithmetic type C. A template, once for each C. */
typedef struct {
    int how;          /* weight and bias meet the data */
    int moves, steps; /* whether a parameter differs between statistics or stretches; between stretches */
    int bound;
    ptrdiff_t group;             /* statistics taken together; 0: each alone, */
    ptrdiff_t ready;             /* but the moments of so many before the first is mapped */
    IN_C(parameters) parameters; /* FN_ELEMENTS only */
    TYPE(C) * room;              /* NULL, or to copy the parameters of short rows to */
} IN_C(plan);

enum { IN_C(parameter_room) = 2 * FN_LEAF + LANES };

/* Parameters of short rows: read so often that they are copied where no vector of them straddles two cache lines. */
static FN_APART void IN_C(bind_group)(const fn_problem *p, const char *weight, const char *bias, IN_C(plan) * plan)
{
    IN_C(parameters) *bound = &plan->parameters;
    const size_t bytes = (size_t)(p->segments * p->run) * sizeof(TYPE(C));
    IN_C(bind)(weight, p->weight.segments != 0, bias, p->bias.segments != 0, bound);
    plan->bound = 1;
    if (!plan->room || plan->moves)
        return;
    TYPE(C) *to = plan->room + fn_lead(plan->room, LANES, sizeof *to);
    if (bound->weight_step && fn_lead(bound->weight, LANES, sizeof *to))
        bound->weight = memcpy(to, bound->weight, bytes);
    if (bound->bias_step && fn_lead(bound->bias, LANES, sizeof *to))
        bound->bias = memcpy(to + FN_LEAF, bound->bias, bytes);
}

static FN_APART void IN_C(make_plan)(const fn_problem *p, IN_C(plan) * plan)
{
    const fn_operand *w = &p->weight, *b = &p->bias;
    plan->how = !(w->segments || b->segments) ? FN_ONE : p->run > 1 ? FN_SEGMENTS : FN_ELEMENTS;
    plan->steps = w->outer || b->outer;
    plan->moves = plan->steps || w->batch || w->keep || b->batch || b->keep;
    plan->bound = 0;
    plan->room = NULL;
    const ptrdiff_t length = p->segments * p->run;
    const int same = plan->how == FN_ONE || (plan->how == FN_ELEMENTS && !(w->keep || b->keep));
    plan->group = 0;
    plan->ready = p->stream == FN_CLOSE ? fn_least(FN_GROUP_ELEMENTS / (p->outer * length), FN_READY) : 1;
    if (plan->ready < 1)
        plan->ready = 1;
    if (!same || p->statistic == FN_NORM_1 || !IN_C(has_plain)(p))
        return;
    if (p->outer == 1 && length <= FN_LEAF)
        plan->group = fn_least(FN_GROUP_ELEMENTS / length, FN_GROUP_ROWS);
    else if (plan->how == FN_ONE && !plan->steps)
        plan->group = fn_stretch_group(p);
}
