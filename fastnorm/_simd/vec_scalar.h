/* The vocabulary in plain C: what every other vec_*.h must do, with the same virtual lanes.
 *
 * A vector is 16 float32 or 8 float64 lanes (64 bytes) on every ISA, however many registers that takes; so the
 * algorithms hold no width, and the order of every sum is the same everywhere.
 *
 *   set1, add, sub, mul, div       lane by lane
 *   sqrt, abs
 *   fma                            rounds once, except where this tier says FN_FMA 0
 *   min(a, b), max(a, b)           a < b ? a : b and a > b ? a : b, so b where either is NaN or both are zeros
 *   tree(a)                        the sum of the lanes: low half + high half, until one is left
 *   keep(a, fill, n)               a in the first n lanes, fill in the rest; 0 < n < lanes
 *   select(bits, a)                a in the lanes whose bit is 1, lane 0 the lowest; +0 in the others
 *   vec_streams                    whether stream_T is more than store_T
 *   load_T, store_T, stream_T      from or to storage type T, any alignment of T; stream_T wants T's 64-byte lines
 *   load_part_T, store_part_T      only the first n elements are touched, 0 < n < lanes; the other lanes load as 0
 *   prefetch(p, offset, bytes)     the loop at p will come to the bytes at that offset, which may lie outside the array
 *   prefetch_ahead(p, bytes)       the loop at p will come to the bytes that lie some way ahead of it
 *   fence                          orders the streamed stores before it
 *   bytes_split3(p, to, gap)       byte k of each of 16 pixels of 3 bytes, side by side at to + k * gap; exactly 48 are
 *                                  read; bytes_split4 likewise, 64
 *   bytes_shuffle(to, p, index)    to[i] = p[index[i]] for each of 16 bytes; an index from 0 to 15
 *
 * For float64 alone, what elementary functions need:
 *
 *   lost(a, b, p)                  a * b - p, what rounding to p = mul(a, b) lost: exact also where FN_FMA is 0
 *   if_less(a, b, yes, no)         a < b ? yes : no, so no where either is NaN
 *   split(a, &exponent)            m and an integral exponent with a = m * 2^exponent and m from sqrt(1/2) to sqrt(2),
 *                                  of a positive and normal a; of any other something
 *   power_of_2(n)                  2^n for an integral n from -1022 to 1023; of any other something
 *
 * And for random bits u32_vec, u32_lanes (at most 16) lanes of uint32, taken alone or side by side alike:
 *
 *   u32_count(a)                   a, a + 1, ... in the lanes
 *   u32_mul_high, u32_mul_low      the halves of the 64-bit products
 *   u32_xor(a, b, c)               of three
 *   u32_at_least(a, b)             a bit for each lane, lane 0 the lowest: 1 where a >= b, which all lanes share
 *
 * A vector is four parts of 16 bytes, which GCC and Clang keep in the registers that every 64-bit machine has (and take
 * apart where there are none). Wider generic vectors, or arrays for the compiler to vectorise, end up in memory: 1
 * element per ns and twice the code, where this does 5.
 */
#ifndef FASTNORM_VEC_H
#define FASTNORM_VEC_H

#include <math.h>

#include "double_bits.h"
#include "half.h"

#define FN_ISA scalar

enum { f32_lanes = 16, f64_lanes = 8, vec_parts = 4, vec_streams = 0 };
typedef fn_f32 f32_part __attribute__((vector_size(16)));
typedef fn_f64 f64_part __attribute__((vector_size(16)));
typedef uint32_t f32_bits __attribute__((vector_size(16)));
typedef uint64_t f64_bits __attribute__((vector_size(16)));

#define FN_EACH(c) for (int i = 0; i < c##_lanes; i++)
#define FN_PARTS for (int k = 0; k < vec_parts; k++)

/* Calling a software fma would cost 50 times a multiply and an add: without the instruction this tier rounds twice. */
#if defined(__aarch64__) || (defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF))
#define FN_FMA 1
#define FN_MULTIPLY_ADD(function, x, y, z)                                                                             \
    for (int i = 0; i < (int)(sizeof x / sizeof x[0]); i++)                                                            \
        x[i] = function(x[i], y[i], z[i]);
#else
#define FN_FMA 0
#define FN_MULTIPLY_ADD(function, x, y, z) x = x * y + z;
#endif

/* yes where the comparison holds, which leaves all ones in a lane, else no. */
#define FN_IF(c, comparison, yes, no)                                                                                  \
    ((c##_part)(((c##_bits)(comparison) & (c##_bits)(yes)) | (~(c##_bits)(comparison) & (c##_bits)(no))))

#define FN_ARITHMETIC(c, fma_function, sqrt_function)                                                                  \
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
        FN_PARTS for (int i = 0; i < c##_lanes / vec_parts; i++) x.part[k][i] = sqrt_function(x.part[k][i]);           \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_vec c##_fma(c##_vec x, c##_vec y, c##_vec z)                                                     \
    {                                                                                                                  \
        FN_PARTS { FN_MULTIPLY_ADD(fma_function, x.part[k], y.part[k], z.part[k]) }                                    \
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
FN_ARITHMETIC(f32, fmaf, sqrtf)
FN_ARITHMETIC(f64, fma, sqrt)
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

enum { u32_lanes = 1 };
typedef uint32_t u32_vec;
static inline u32_vec u32_set1(uint32_t x) { return x; }
static inline u32_vec u32_count(uint32_t x) { return x; }
static inline u32_vec u32_mul_high(u32_vec x, u32_vec y) { return (uint32_t)((uint64_t)x * y >> 32); }
static inline u32_vec u32_mul_low(u32_vec x, u32_vec y) { return x * y; }
static inline u32_vec u32_xor(u32_vec x, u32_vec y, u32_vec z) { return x ^ y ^ z; }
static inline uint32_t u32_at_least(u32_vec x, u32_vec y) { return x >= y; }

#define FN_SAME(c)                                                                                                     \
    static inline c##_vec c##_load_##c(const fn_##c *p) { return c##_of(p); }                                          \
    static inline void c##_store_##c(fn_##c *p, c##_vec x) { memcpy(p, &x, sizeof x); }                                \
    static inline void c##_stream_##c(fn_##c *p, c##_vec x) { c##_store_##c(p, x); }                                   \
    static inline c##_vec c##_load_part_##c(const fn_##c *p, ptrdiff_t n)                                              \
    {                                                                                                                  \
        fn_##c lane[c##_lanes] = {0};                                                                                  \
        memcpy(lane, p, (size_t)n * sizeof *p);                                                                        \
        return c##_of(lane);                                                                                           \
    }                                                                                                                  \
    static inline void c##_store_part_##c(fn_##c *p, c##_vec x, ptrdiff_t n) { memcpy(p, &x, (size_t)n * sizeof *p); }
FN_SAME(f32)
FN_SAME(f64)
#undef FN_SAME

/* A conversion takes up to 20 instructions a lane: too many to repeat in every loop. */
#define FN_CONVERTED(c, t)                                                                                             \
    static FN_APART c##_vec c##_load_part_##t(const fn_##t *p, ptrdiff_t n)                                            \
    {                                                                                                                  \
        fn_##c lane[c##_lanes] = {0};                                                                                  \
        for (ptrdiff_t i = 0; i < n; i++)                                                                              \
            lane[i] = c##_from_##t(p[i]);                                                                              \
        return c##_of(lane);                                                                                           \
    }                                                                                                                  \
    static FN_APART void c##_store_part_##t(fn_##t *p, c##_vec x, ptrdiff_t n)                                         \
    {                                                                                                                  \
        fn_##c lane[c##_lanes];                                                                                        \
        memcpy(lane, &x, sizeof x);                                                                                    \
        for (ptrdiff_t i = 0; i < n; i++)                                                                              \
            p[i] = t##_from_##c(lane[i]);                                                                              \
    }                                                                                                                  \
    static inline c##_vec c##_load_##t(const fn_##t *p) { return c##_load_part_##t(p, c##_lanes); }                    \
    static inline void c##_store_##t(fn_##t *p, c##_vec x) { c##_store_part_##t(p, x, c##_lanes); }                    \
    static inline void c##_stream_##t(fn_##t *p, c##_vec x) { c##_store_##t(p, x); }
FN_CONVERTED(f32, f16)
FN_CONVERTED(f32, bf16)
FN_CONVERTED(f64, f32)
FN_CONVERTED(f64, f16)
FN_CONVERTED(f64, bf16)
#undef FN_CONVERTED

/* Bytes are only read. */
#define FN_BYTES(c)                                                                                                    \
    static inline c##_vec c##_load_part_u8(const fn_u8 *p, ptrdiff_t n)                                                \
    {                                                                                                                  \
        fn_##c lane[c##_lanes] = {0};                                                                                  \
        for (ptrdiff_t i = 0; i < n; i++)                                                                              \
            lane[i] = (fn_##c)p[i];                                                                                    \
        return c##_of(lane);                                                                                           \
    }                                                                                                                  \
    static inline c##_vec c##_load_u8(const fn_u8 *p) { return c##_load_part_u8(p, c##_lanes); }
FN_BYTES(f32)
FN_BYTES(f64)
#undef FN_BYTES
#undef FN_EACH

static __attribute__((noinline)) void bytes_split3(const fn_u8 *p, fn_u8 *to, ptrdiff_t gap)
{
    for (int i = 0; i < 16; i++, p += 3) {
        to[i] = p[0];
        to[i + gap] = p[1];
        to[i + 2 * gap] = p[2];
    }
}
static __attribute__((noinline)) void bytes_split4(const fn_u8 *p, fn_u8 *to, ptrdiff_t gap)
{
    for (int i = 0; i < 16; i++, p += 4) {
        to[i] = p[0];
        to[i + gap] = p[1];
        to[i + 2 * gap] = p[2];
        to[i + 3 * gap] = p[3];
    }
}
static inline void bytes_shuffle(fn_u8 *to, const fn_u8 *p, const fn_u8 *index)
{
    for (int i = 0; i < 16; i++)
        to[i] = p[index[i]];
}

#undef FN_PARTS

static inline void vec_prefetch(const void *p, ptrdiff_t offset, size_t bytes) { (void)p, (void)offset, (void)bytes; }
static inline void vec_prefetch_ahead(const void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
}
static inline void vec_fence(void) {}

#endif
