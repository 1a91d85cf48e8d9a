/* Activations of rows in arithmetic type C, after a norm has left them in the cache.
 *
 * A template, once for each C. tanh and sigmoid compute in float64.
 */

static void IN_C(activate)(int activation, void *row, void *y, ptrdiff_t n, int y_type)
{
    TYPE(C) *x = row;
    ptrdiff_t i = 0;
    if (activation == FN_RELU) {
        const VEC zero = V(set1)(0);
        for (; i + LANES <= n; i += LANES)
            STORE(C)(x + i, V(max)(zero, LOAD(C)(x + i)));
        if (i < n)
            STORE_PART(C)(x + i, V(max)(zero, LOAD_PART(C)(x + i, n - i)), n - i);
    } else if (activation != FN_LINEAR) {
        for (; i < n; i += f64_lanes) {
            const ptrdiff_t left = n - i;
            f64_vec value = left < f64_lanes ? WIDE(load_part)(x + i, left) : WIDE(load)(x + i);
            value = activation == FN_TANH ? f64_tanh(value) : f64_sigmoid(value);
            if (left < f64_lanes)
                WIDE(store_part)(x + i, value, left);
            else
                WIDE(store)(x + i, value);
        }
    }
    if (y != row)
        fn_write[y_type][IS_F64(C)](row, y, n, 0);
}
