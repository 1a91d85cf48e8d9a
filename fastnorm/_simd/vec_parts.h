/* The vocabulary on vectors of four parts of 16 bytes: all of it but what a part has no operator for.
 *
 * GCC and Clang keep such parts in the registers that every 64-bit machine has, and take them apart where there are
 * none. Wider generic vectors, or arrays for the compiler to vectorise, end up in memory: 1 element per ns and twice
 * the code, where this does 5. Included by the vocabularies that are made of them, once they have said FN_FMA.
 */
#ifndef FASTNORM_VEC_PARTS_H
#define FASTNORM_VEC_PARTS_H

#include "double_bits.h"
#include "half.h"

enum { f32_lanes = 16, f64_lanes = 8, vec_parts = 4, vec_streams = 0 };
typedef fn_f32 f32_part __attribute__((vector_size(16)));
typedef fn_f64 f64_part __attribute__((vector_size(16)));
typedef uint32_t f32_bits __attribute__((vector_size(16)));
typedef uint64_t f64_bits __attribute__((vector_size(16)));

/* The including file's. */
static inline f32_part f32_part_sqrt(f32_part x);
static inline f64_part f64_part_sqrt(f64_part x);
static inline f32_part f32_part_fma(f32_part x, f32_part y, f32_part z);
static inline f64_part f64_part_fma(f64_part x, f64_part y, f64_part z);

#define FN_PARTS for (int k = 0; k < vec_parts; k++)

/* yes where the comparison holds, which leaves all ones in a lane, else no. */
#define FN_IF(c, comparison, yes, no)                                                                                  \
    ((c##_part)(((c##_bits)(comparison) & (c##_bits)(yes)) | (~(c##_bits)(comparison) & (c##_bits)(no))))

#define FN_ARITHMETIC(c)                                                                                               \
    typedef struct {                                                                                                   \
        c##_part part[vec_parts];                                                                                      \
    } c##_vec;                                                                                                         \
    static inline c##_vec c##_of(const fn_##c *lane)                                                                   \
    {                                                                                                                  \
        c##_vec r;                                                                                                     \
        memcpy(&r, lane, sizeof r);                                                                                    \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_add(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_PARTS x.part[k] += y.part[k];                                                                               \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_sub(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_PARTS x.part[k] -= y.part[k];                                                                               \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_mul(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_PARTS x.part[k] *= y.part[k];                                                                               \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_div(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_PARTS x.part[k] /= y.part[k];                                                                               \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_min(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_PARTS x.part[k] = FN_IF(c, x.part[k] < y.part[k], x.part[k], y.part[k]);                                    \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_max(c##_vec x, c##_vec y)                                                                \
    {                                                                                                                  \
        FN_PARTS x.part[k] = FN_IF(c, x.part[k] > y.part[k], x.part[k], y.part[k]);                                    \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_abs(c##_vec x)                                                                           \
    {                                                                                                                  \
        FN_PARTS x.part[k] = (c##_part)((c##_bits)x.part[k] << 1 >> 1);                                                \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_sqrt(c##_vec x)                                                                          \
    {                                                                                                                  \
        FN_PARTS x.part[k] = c##_part_sqrt(x.part[k]);                                                                 \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_fma(c##_vec x, c##_vec y, c##_vec z)                                                     \
    {                                                                                                                  \
        FN_PARTS x.part[k] = c##_part_fma(x.part[k], y.part[k], z.part[k]);                                            \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline fn_##c c##_tree(c##_vec x)                                                                           \
    {                                                                                                                  \
        c##_part sum = (x.part[0] + x.part[2]) + (x.part[1] + x.part[3]);                                              \
        for (int half = c##_lanes / vec_parts / 2; half > 0; half /= 2)                                                \
            for (int i = 0; i < half; i++)                                                                             \
                sum[i] += sum[i + half];                                                                               \
        return sum[0];                                                                                                 \
    }                                                                                                                  \
    static inline c##_vec c##_keep(c##_vec x, c##_vec fill, ptrdiff_t n)                                               \
    {                                                                                                                  \
        memcpy((char *)&x + n * (ptrdiff_t)sizeof(fn_##c), (char *)&fill + n * (ptrdiff_t)sizeof(fn_##c),              \
               sizeof x - (size_t)n * sizeof(fn_##c));                                                                 \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_select(uint64_t bits, c##_vec x)                                                         \
    {                                                                                                                  \
        enum { lanes = c##_lanes / vec_parts };                                                                        \
        FN_PARTS                                                                                                       \
        {                                                                                                              \
            c##_bits mask;                                                                                             \
            for (int i = 0; i < lanes; i++)                                                                            \
                mask[i] = 0 - (bits >> (k * lanes + i) & 1);                                                           \
            x.part[k] = (c##_part)((c##_bits)x.part[k] & mask);                                                        \
        }                                                                                                              \
        return x;                                                                                                      \
    }
FN_ARITHMETIC(f32)
FN_ARITHMETIC(f64)
#undef FN_ARITHMETIC

static inline f32_vec f32_set1(fn_f32 x)
{
    const f32_part part = {x, x, x, x};
    return (f32_vec){{part, part, part, part}};
}
static inline f64_vec f64_set1(fn_f64 x)
{
    const f64_part part = {x, x};
    return (f64_vec){{part, part, part, part}};
}

static inline f64_vec f64_lost(f64_vec x, f64_vec y, f64_vec product)
{
#if FN_FMA
    FN_PARTS product.part[k] = -product.part[k];
    return f64_fma(x, y, product);
#else /* Dekker: halves of 26 bits, whose products are exact */
    FN_PARTS
    {
        const f64_part x_big = x.part[k] * 0x1p27 + x.part[k], y_big = y.part[k] * 0x1p27 + y.part[k];
        const f64_part x_high = x_big - (x_big - x.part[k]), y_high = y_big - (y_big - y.part[k]);
        const f64_part x_low = x.part[k] - x_high, y_low = y.part[k] - y_high;
        x.part[k] = x_low * y_low - (((product.part[k] - x_high * y_high) - x_low * y_high) - x_high * y_low);
    }
    return x;
#endif
}
static inline f64_vec f64_if_less(f64_vec x, f64_vec y, f64_vec yes, f64_vec no)
{
    FN_PARTS x.part[k] = FN_IF(f64, x.part[k] < y.part[k], yes.part[k], no.part[k]);
    return x;
}
static inline f64_vec f64_split(f64_vec x, f64_vec *exponent)
{
    FN_PARTS
    {
        const f64_bits bits = (f64_bits)x.part[k] + FN_SPLIT_AT;
        exponent->part[k] = (f64_part)(bits >> 52 | FN_INTEGER) - (0x1p52 + 1023);
        x.part[k] = (f64_part)((bits & FN_MANTISSA) + FN_ROOT_HALF);
    }
    return x;
}
static inline f64_vec f64_power_of_2(f64_vec n)
{
    FN_PARTS n.part[k] = (f64_part)((f64_bits)(n.part[k] + (0x1p52 + 1023)) << 52);
    return n;
}

/* Where no instruction takes the first n elements only, they go through a buffer. */
#define FN_LOAD_PART(c, t)                                                                                             \
    static inline c##_vec c##_load_part_##t(const fn_##t *p, ptrdiff_t n)                                              \
    {                                                                                                                  \
        fn_##t buffer[c##_lanes] = {0};                                                                                \
        memcpy(buffer, p, (size_t)n * sizeof *p);                                                                      \
        return c##_load_##t(buffer);                                                                                   \
    }
/* Given how storage type t is loaded and stored. */
#define FN_STORAGE(c, t)                                                                                               \
    FN_LOAD_PART(c, t)                                                                                                 \
    static inline void c##_store_part_##t(fn_##t *p, c##_vec x, ptrdiff_t n)                                           \
    {                                                                                                                  \
        fn_##t buffer[c##_lanes];                                                                                      \
        c##_store_##t(buffer, x);                                                                                      \
        memcpy(p, buffer, (size_t)n * sizeof *p);                                                                      \
    }                                                                                                                  \
    static inline void c##_stream_##t(fn_##t *p, c##_vec x) { c##_store_##t(p, x); }

static inline f32_vec f32_load_f32(const fn_f32 *p) { return f32_of(p); }
static inline f64_vec f64_load_f64(const fn_f64 *p) { return f64_of(p); }
static inline void f32_store_f32(fn_f32 *p, f32_vec x) { memcpy(p, &x, sizeof x); }
static inline void f64_store_f64(fn_f64 *p, f64_vec x) { memcpy(p, &x, sizeof x); }
FN_STORAGE(f32, f32)
FN_STORAGE(f64, f64)

static inline void vec_prefetch(const void *p, ptrdiff_t offset, size_t bytes) { (void)p, (void)offset, (void)bytes; }
static inline void vec_fence(void) {}

#endif
