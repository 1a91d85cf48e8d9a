/* The vocabulary in plain C: what every other vec_*.h must do, with the same virtual lanes.
 *
 * A vector is 16 float32 or 8 float64 lanes (64 bytes) on every ISA, however many registers that takes; so the
 * algorithms hold no width, and the order of every sum is the same everywhere.
 *
 *   set1, add, sub, fma            lane by lane; fma rounds once, except where this tier says FN_FMA 0
 *   tree(a)                        the sum of the lanes: low half + high half, until one is left
 *   keep(a, fill, n)               a in the first n lanes, fill in the rest; 0 < n < lanes
 *   load_T, store_T, stream_T      from or to storage type T, any alignment of T; stream_T wants T's 64-byte lines
 *   load_part_T, store_part_T      only the first n elements are touched, 0 < n < lanes; the other lanes load as 0
 *   prefetch_ahead(p, bytes)       the loop at p will come to the bytes that lie some way ahead of it
 *   fence                          orders the streamed stores before it
 *
 * The lane loops are for the compiler to vectorise: they hold no reduction, so vectorising changes no bit.
 */
#ifndef FASTNORM_VEC_H
#define FASTNORM_VEC_H

#include <math.h>

#include "half.h"

#define FN_ISA scalar

/* Calling a software fma would cost 50 times a multiply and an add: without the instruction this tier rounds twice. */
#if defined(__aarch64__) || (defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF))
#define FN_FMA 1
#define f32_multiply_add fmaf
#define f64_multiply_add fma
#else
#define FN_FMA 0
static inline fn_f32 f32_multiply_add(fn_f32 a, fn_f32 b, fn_f32 c) { return a * b + c; }
static inline fn_f64 f64_multiply_add(fn_f64 a, fn_f64 b, fn_f64 c) { return a * b + c; }
#endif

enum { f32_lanes = 16, f64_lanes = 8 };

#define FN_EACH(c) for (int i = 0; i < c##_lanes; i++)

#define FN_ARITHMETIC(c)                                                                                               \
    typedef struct {                                                                                                   \
        fn_##c lane[c##_lanes];                                                                                        \
    } c##_vec;                                                                                                         \
    static inline c##_vec c##_set1(fn_##c x)                                                                           \
    {                                                                                                                  \
        c##_vec r;                                                                                                     \
        FN_EACH(c) r.lane[i] = x;                                                                                      \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_add(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_EACH(c) x.lane[i] += y.lane[i];                                                                             \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_sub(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_EACH(c) x.lane[i] -= y.lane[i];                                                                             \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_fma(c##_vec x, c##_vec y, c##_vec z)                                                     \
    {                                                                                                                  \
        FN_EACH(c) x.lane[i] = c##_multiply_add(x.lane[i], y.lane[i], z.lane[i]);                                      \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline fn_##c c##_tree(c##_vec x)                                                                           \
    {                                                                                                                  \
        for (int half = c##_lanes / 2; half > 0; half /= 2)                                                            \
            for (int i = 0; i < half; i++)                                                                             \
                x.lane[i] += x.lane[i + half];                                                                         \
        return x.lane[0];                                                                                              \
    }                                                                                                                  \
    static inline c##_vec c##_keep(c##_vec x, c##_vec fill, ptrdiff_t n)                                               \
    {                                                                                                                  \
        for (ptrdiff_t i = n; i < c##_lanes; i++)                                                                      \
            x.lane[i] = fill.lane[i];                                                                                  \
        return x;                                                                                                      \
    }
FN_ARITHMETIC(f32)
FN_ARITHMETIC(f64)
#undef FN_ARITHMETIC

#define FN_STORAGE(c, t)                                                                                               \
    static inline c##_vec c##_load_##t(const fn_##t *p)                                                                \
    {                                                                                                                  \
        c##_vec r;                                                                                                     \
        FN_EACH(c) r.lane[i] = c##_from_##t(p[i]);                                                                     \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_load_part_##t(const fn_##t *p, ptrdiff_t n)                                              \
    {                                                                                                                  \
        c##_vec r = {{0}};                                                                                             \
        for (ptrdiff_t i = 0; i < n; i++)                                                                              \
            r.lane[i] = c##_from_##t(p[i]);                                                                            \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline void c##_store_##t(fn_##t *p, c##_vec x) { FN_EACH(c) p[i] = t##_from_##c(x.lane[i]); }              \
    static inline void c##_stream_##t(fn_##t *p, c##_vec x) { c##_store_##t(p, x); }                                   \
    static inline void c##_store_part_##t(fn_##t *p, c##_vec x, ptrdiff_t n)                                           \
    {                                                                                                                  \
        for (ptrdiff_t i = 0; i < n; i++)                                                                              \
            p[i] = t##_from_##c(x.lane[i]);                                                                            \
    }
FN_STORAGE(f32, f32)
FN_STORAGE(f32, f16)
FN_STORAGE(f32, bf16)
FN_STORAGE(f64, f64)
FN_STORAGE(f64, f32)
FN_STORAGE(f64, f16)
FN_STORAGE(f64, bf16)
#undef FN_STORAGE
#undef FN_EACH

static inline void vec_prefetch_ahead(const void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
}
static inline void vec_fence(void) {}

#endif
