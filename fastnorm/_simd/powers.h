/* Norms of any power p: sums of (|x| / level)^p, and the norm / level from such a sum. In float64 whatever the data.
 *
 * With the largest magnitude as level (p > 0), or the smallest (p < 0), no power exceeds 1 and one of them is 1:
 * nothing overflows and no norm vanishes.
 */
static double sum_of_powers(const double *x, ptrdiff_t n, double power, double level)
{
    const f64_vec unit = f64_set1(level), zero = f64_set1(0);
    f64_vec sum = zero;
    if (power == 0) { /* by convention 0^0 is 0 here */
        double count = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            count += x[i] != 0;
        return count;
    }
    for (ptrdiff_t i = 0; i < n; i += f64_lanes) {
        const ptrdiff_t left = n - i;
        f64_vec value = left < f64_lanes ? f64_load_part_f64(x + i, left) : f64_load_f64(x + i);
        value = f64_pow(f64_div(f64_abs(value), unit), power);
        sum = f64_add(sum, left < f64_lanes ? f64_keep(value, zero, left) : value);
    }
    return f64_tree(sum);
}

static void power_roots(ptrdiff_t n, const double *level, double power, double *sums)
{
    const double root = 1 / power < -DBL_MAX ? -DBL_MAX : 1 / power > DBL_MAX ? DBL_MAX : 1 / power;
    for (ptrdiff_t i = 0; i < n && power != 0; i += f64_lanes) {
        const ptrdiff_t some = n - i < f64_lanes ? n - i : f64_lanes;
        double lanes[f64_lanes] = {0};
        memcpy(lanes, sums + i, (size_t)some * sizeof *lanes);
        f64_store_f64(lanes, f64_pow(f64_load_f64(lanes), root));
        for (ptrdiff_t j = 0; j < some; j++)
            sums[i + j] = level[i + j] > 0 && level[i + j] <= DBL_MAX ? lanes[j] : 1;
    }
}
