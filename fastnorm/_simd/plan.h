/* How the rows kernel walks a problem in arithmetic type C. A template, once for each C. */
typedef struct {
    int how;          /* weight and bias meet the data */
    int moves, steps; /* whether a parameter differs between statistics or stretches; between stretches */
    int bound;
    ptrdiff_t group;             /* statistics taken together; 0: each alone */
    IN_C(parameters) parameters; /* FN_ELEMENTS only */
} IN_C(plan);

static FN_APART void IN_C(make_plan)(const fn_problem *p, IN_C(plan) * plan)
{
    const fn_operand *w = &p->weight, *b = &p->bias;
    plan->how = !(w->segments || b->segments) ? FN_ONE : p->run > 1 ? FN_SEGMENTS : FN_ELEMENTS;
    plan->steps = w->outer || b->outer;
    plan->moves = plan->steps || w->batch || w->keep || b->batch || b->keep;
    plan->bound = 0;
    const ptrdiff_t length = p->segments * p->run;
    const int same = plan->how == FN_ONE || (plan->how == FN_ELEMENTS && !(w->keep || b->keep));
    plan->group = 0;
    if (!same || p->statistic == FN_NORM_1 || !IN_C(has_plain)(p))
        return;
    if (p->outer == 1 && length <= FN_LEAF)
        plan->group = fn_least(FN_GROUP_ELEMENTS / length, FN_GROUP_ROWS);
    else if (plan->how == FN_ONE && !plan->steps)
        plan->group = fn_stretch_group(p);
}
