/* Running statistics as fn_given takes them: a small image has as many channels as it takes vectors to map, and a root
 * and a division one after the other take longer than all of them.
 */
static inline f64_vec running_load(const void *from, int type, ptrdiff_t i, ptrdiff_t n)
{
    if (type == FN_F32)
        return n - i < f64_lanes ? f64_load_part_f32((const fn_f32 *)from + i, n - i)
                                 : f64_load_f32((const fn_f32 *)from + i);
    return n - i < f64_lanes ? f64_load_part_f64((const fn_f64 *)from + i, n - i)
                             : f64_load_f64((const fn_f64 *)from + i);
}

static inline void running_store(double *to, f64_vec value, ptrdiff_t i, ptrdiff_t n)
{
    if (n - i < f64_lanes)
        f64_store_part_f64(to + i, value, n - i);
    else
        f64_store_f64(to + i, value);
}

static void running(ptrdiff_t n, const void *mean, int mean_type, const void *variance, int variance_type, double eps,
                    double *to_mean, double *to_rstd)
{
    for (ptrdiff_t i = 0; i < n; i += f64_lanes) {
        const f64_vec sum = f64_add(running_load(variance, variance_type, i, n), f64_set1(eps));
        running_store(to_mean, running_load(mean, mean_type, i, n), i, n);
        running_store(to_rstd, f64_div(f64_set1(1), f64_sqrt(sum)), i, n);
    }
}
