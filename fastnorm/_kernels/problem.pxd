# The declarations of _simd/problem.h and what it includes, _simd/dispatch.h and _simd/float_mode.h; those files say
# what they mean.
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "dropout_problem.h" nogil:
    enum:
        FN_GROUP

    ctypedef struct fn_dropout:
        const char *x
        char *y
        uint8_t *mask
        uint64_t number, key
        uint32_t threshold
        double high, low
        int stream, x_type, y_type


cdef extern from "problem.h" nogil:
    enum:
        FN_F32
        FN_F64
        FN_F16
        FN_BF16
        FN_U8
        FN_ROW_OUTER
        FN_ROW_STRETCH
        FN_WIDE_STRETCH
        FN_ROW_SIDE
        FN_SEGMENT
        FN_TILE
        FN_CENTERED
        FN_UNCENTERED
        FN_SQUARES
        FN_STANDARDIZED
        FN_GIVEN
        FN_NORM_1
        FN_NORM_2
        FN_NORM_LARGEST
        FN_NORM_SMALLEST
        FN_NORM_POWER
        FN_EXTREMES
        FN_CLOSE
        FN_CACHED
        FN_FAR
        FN_PAST_JOINED
        FN_PAST

    ctypedef struct fn_moments:
        double count, mean, mean_lo, m2

    ctypedef struct fn_range:
        double largest
        int nan, plus_inf, minus_inf

    ctypedef struct fn_statistic:
        int exponent

    ctypedef struct fn_operand:
        char *data
        Py_ssize_t batch, outer, keep, segments, run

    ctypedef struct fn_problem:
        Py_ssize_t batch, outer, keep, segments, run
        fn_operand x, y, weight, bias
        double *mean
        double *rstd
        double *m2
        double eps, inverse_n, inverse_elements, power, upper
        Py_ssize_t side
        int statistic, stream, x_type, y_type

    ctypedef struct fn_map:
        int mode

    ctypedef struct fn_pixels:
        char *data
        Py_ssize_t image, row, pixel, channel
        int size, swapped, plain

    ctypedef struct fn_image:
        Py_ssize_t images, rows, pixels, channels
        fn_pixels x, y
        const fn_map *maps
        int x_type, y_type, stream

    enum:
        FN_SPAN
        FN_LINE
        FN_PAGE

    Py_ssize_t fn_spans_of_row(const fn_image *p)

    ctypedef struct fn_column_map:
        int unusual

    enum:
        FN_POWER
        FN_ROOT
        FN_ROOT_AND_ITS_ROOT
        FN_IDENTITY
        FN_WINDOW_BLOCK
        FN_LINEAR
        FN_RELU
        FN_SIGMOID
        FN_TANH

    ctypedef struct fn_window_problem:
        Py_ssize_t outer, channels, inner
        char *x
        char *y
        Py_ssize_t x_outer, x_channel, x_inner, y_outer, y_channel, y_inner
        Py_ssize_t before, after, tile
        double scale, k, beta
        int power, stream, x_type, y_type

    Py_ssize_t fn_window_scratch(const fn_window_problem *p)
    Py_ssize_t fn_window_tiles(const fn_window_problem *p)

    ctypedef void (*fn_rows_kernel)(const fn_problem *, Py_ssize_t, Py_ssize_t) noexcept nogil
    ctypedef void (*fn_piece_moments)(const fn_problem *, Py_ssize_t, Py_ssize_t, int, fn_moments *) noexcept nogil
    ctypedef void (*fn_piece_survey)(const fn_problem *, Py_ssize_t, Py_ssize_t, fn_range *) noexcept nogil
    ctypedef void (*fn_piece_apply)(
        const fn_problem *, Py_ssize_t, Py_ssize_t, const fn_statistic *
    ) noexcept nogil

    ctypedef void (*fn_columns_kernel)(
        const fn_problem *, Py_ssize_t, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    ctypedef void (*fn_column_moments)(
        const fn_problem *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *
    ) noexcept nogil
    ctypedef void (*fn_column_finish)(
        const fn_problem *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, const double *, fn_column_map *
    ) noexcept nogil
    ctypedef void (*fn_column_apply)(
        const fn_problem *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, const fn_column_map *
    ) noexcept nogil

    ctypedef void (*fn_dropout_kernel)(const fn_dropout *, Py_ssize_t, Py_ssize_t) noexcept nogil
    ctypedef void (*fn_window)(const fn_window_problem *, Py_ssize_t, Py_ssize_t, void *) noexcept nogil

    ctypedef void (*fn_activate)(int, void *, void *, Py_ssize_t, int) noexcept nogil
    ctypedef void (*fn_image_kernel)(const fn_image *, Py_ssize_t, Py_ssize_t) noexcept nogil

    ctypedef struct fn_kernels:
        int fma
        fn_rows_kernel rows[4][4]
        fn_piece_moments piece_moments[4][2]
        fn_piece_survey piece_survey[4]
        fn_piece_apply piece_apply[4][4]
        fn_columns_kernel columns[4][4]
        fn_column_moments column_moments[4][2]
        fn_column_finish column_finish[4][2]
        fn_column_apply column_apply[4][4]
        void power_roots(Py_ssize_t n, const double *level, double power, double *sums) noexcept nogil
        void running(
            Py_ssize_t n, const void *mean, int mean_type, const void *variance, int variance_type, double eps,
            double *to_mean, double *to_rstd
        ) noexcept nogil
        fn_dropout_kernel dropout[2]
        fn_window window[2]
        fn_activate activate[2]
        fn_image_kernel image


cdef extern from "pieces.h" nogil:
    Py_ssize_t fn_count_pieces(const fn_problem *p)
    Py_ssize_t fn_stretch_group(const fn_problem *p)
    Py_ssize_t fn_rows(const fn_problem *p)
    Py_ssize_t fn_columns(const fn_problem *p, Py_ssize_t first, Py_ssize_t last)
    Py_ssize_t fn_row_parts(const fn_problem *p)
    Py_ssize_t fn_column_parts(const fn_problem *p)


cdef extern from "statistic.h" nogil:
    int fn_sums_of(int statistic)
    void fn_merge(int sums, fn_moments *a, const fn_moments *b)
    void fn_merge_part(const fn_problem *p, Py_ssize_t columns, Py_ssize_t index, double *moments, const double *part)
    bint fn_finish(const fn_problem *p, const fn_moments *m, int is_f64, fn_statistic *out)
    bint fn_rescue_plan(const fn_problem *p, const fn_range *range, fn_statistic *out)
    void fn_rescue_finish(const fn_problem *p, const fn_moments *m, int is_f64, fn_statistic *out)
    void fn_range_merge(fn_range *a, const fn_range *b)
    void fn_given(double mean, double rstd, int is_f64, fn_statistic *out)
    fn_map fn_fold(const fn_statistic *s, double weight, double bias, int is_f64)
    void fn_report(const fn_problem *p, Py_ssize_t s, const fn_statistic *statistic)


cdef extern from "dispatch.h" nogil:
    enum:
        FN_TIERS

    ctypedef struct fn_tier:
        const char *name
        const char *needs
        const fn_kernels *kernels
        int runs

    void fn_describe_tiers(fn_tier *tiers)
    Py_ssize_t fn_last_level_cache()
    bint fn_has_hypervisor()
    const char *fn_compiler()


cdef extern from "float_mode.h" nogil:
    uint64_t fn_float_mode_enter()
    void fn_float_mode_leave(uint64_t mode)
    double fn_inverse(Py_ssize_t n)
