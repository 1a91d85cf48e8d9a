/* The upper end of a range of results of type Y, in arithmetic type C. A template, before apply.h.
 *
 * Extremes alone have one: the scale is rounded so that the largest value reaches it, which may be a step too far. Done
 * on results that are in the cache, so that no other norm's apply has to.
 */
static FN_APART void IN_CY(cut_off)(TYPE(Y) * y, ptrdiff_t n, double upper)
{
    const VEC end = V(set1)((TYPE(C))upper);
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        STORE(Y)(y + i, V(min)(end, LOAD(Y)(y + i)));
    if (i < n)
        STORE_PART(Y)(y + i, V(min)(end, LOAD_PART(Y)(y + i, n - i)), n - i);
}
