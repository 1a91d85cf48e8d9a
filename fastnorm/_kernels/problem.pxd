# The declarations of _simd/problem.h, _simd/dispatch.h and _simd/float_mode.h; those files say what they mean.
from libc.stdint cimport int16_t, uint16_t, uint64_t


cdef extern from "problem.h" nogil:
    enum:
        FN_F32
        FN_F64
        FN_F16
        FN_BF16
        FN_CHUNK
        FN_CENTERED
        FN_UNCENTERED
        FN_SQUARES

    ctypedef struct fn_moments:
        double count, mean, mean_lo, m2

    ctypedef struct fn_range:
        double largest
        int nan, plus_inf, minus_inf

    ctypedef struct fn_statistic:
        double reported_mean, reported_rstd
        int exponent

    ctypedef struct fn_operand:
        char *data
        Py_ssize_t batch, outer, keep, segments, run

    ctypedef struct fn_problem:
        Py_ssize_t batch, outer, keep, segments, run
        fn_operand x, y, weight, bias
        double *mean
        double *rstd
        double eps
        int statistic, stream, x_type, y_type

    ctypedef void (*fn_rows)(const fn_problem *, Py_ssize_t, Py_ssize_t) noexcept nogil
    ctypedef void (*fn_chunk_moments)(const void *, Py_ssize_t, int, int, fn_moments *) noexcept nogil
    ctypedef void (*fn_chunk_survey)(const void *, Py_ssize_t, fn_range *) noexcept nogil
    ctypedef void (*fn_chunk_apply)(
        const fn_problem *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const fn_statistic *
    ) noexcept nogil

    ctypedef struct fn_kernels:
        int fma
        fn_rows rows[4][4]
        fn_chunk_moments chunk_moments[4][2]
        fn_chunk_survey chunk_survey[4]
        fn_chunk_apply chunk_apply[4][4]


cdef extern from "statistic.h" nogil:
    void fn_merge(fn_moments *a, const fn_moments *b)
    bint fn_finish(
        const fn_moments *m, double inverse_n, double eps, int statistic, int is_f64, fn_statistic *out
    )
    bint fn_rescue_plan(const fn_range *range, double eps, int statistic, fn_statistic *out)
    void fn_rescue_finish(
        const fn_moments *m, double inverse_n, double eps, int statistic, int is_f64, fn_statistic *out
    )
    void fn_range_merge(fn_range *a, const fn_range *b)


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
    const char *fn_compiler()


cdef extern from "float_mode.h" nogil:
    uint64_t fn_float_mode_enter()
    void fn_float_mode_leave(uint64_t mode)
