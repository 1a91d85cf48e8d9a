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
 */
#ifndef FASTNORM_VEC_H
#define FASTNORM_VEC_H

#include <math.h>

#define FN_ISA scalar

/* Calling a software fma would cost 50 times a multiply and an add: without the instruction this tier rounds twice. */
#define FN_EACH(x) for (int i = 0; i < (int)(sizeof x / sizeof x[0]); i++)
#if defined(__aarch64__) || (defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF))
#define FN_FMA 1
#define FN_MULTIPLY_ADD(function, x, y, z) FN_EACH(x) x[i] = function(x[i], y[i], z[i])
#else
#define FN_FMA 0
#define FN_MULTIPLY_ADD(function, x, y, z) x = x * y + z
#endif

#include "vec_parts.h"

#define FN_FUNCTIONS(c, fma_function, sqrt_function)                                                                   \
    static inline c##_part c##_part_sqrt(c##_part x)                                                                   \
    {                                                                                                                  \
        FN_EACH(x) x[i] = sqrt_function(x[i]);                                                                         \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline c##_part c##_part_fma(c##_part x, c##_part y, c##_part z)                                            \
    {                                                                                                                  \
        FN_MULTIPLY_ADD(fma_function, x, y, z);                                                                        \
        return x;                                                                                                      \
    }
FN_FUNCTIONS(f32, fmaf, sqrtf)
FN_FUNCTIONS(f64, fma, sqrt)
#undef FN_FUNCTIONS

/* A conversion takes up to 20 instructions a lane: too many to repeat in every loop. */
#define FN_CONVERTED(c, t)                                                                                             \
    static FN_APART c##_vec c##_load_##t(const fn_##t *p)                                                              \
    {                                                                                                                  \
        fn_##c lane[c##_lanes];                                                                                        \
        FN_EACH(lane) lane[i] = c##_from_##t(p[i]);                                                                    \
        return c##_of(lane);                                                                                           \
    }                                                                                                                  \
    static FN_APART void c##_store_##t(fn_##t *p, c##_vec x)                                                           \
    {                                                                                                                  \
        fn_##c lane[c##_lanes];                                                                                        \
        memcpy(lane, &x, sizeof lane);                                                                                 \
        FN_EACH(lane) p[i] = t##_from_##c(lane[i]);                                                                    \
    }                                                                                                                  \
    FN_STORAGE(c, t)
FN_CONVERTED(f32, f16)
FN_CONVERTED(f32, bf16)
FN_CONVERTED(f64, f32)
FN_CONVERTED(f64, f16)
FN_CONVERTED(f64, bf16)
#undef FN_CONVERTED

#define FN_BYTES(c)                                                                                                    \
    static inline c##_vec c##_load_u8(const fn_u8 *p)                                                                  \
    {                                                                                                                  \
        fn_##c lane[c##_lanes];                                                                                        \
        FN_EACH(lane) lane[i] = (fn_##c)p[i];                                                                          \
        return c##_of(lane);                                                                                           \
    }                                                                                                                  \
    FN_LOAD_PART(c, u8)
FN_BYTES(f32)
FN_BYTES(f64)
#undef FN_BYTES
#undef FN_EACH

enum { u32_lanes = 1 };
typedef uint32_t u32_vec;
static inline u32_vec u32_set1(uint32_t x) { return x; }
static inline u32_vec u32_count(uint32_t x) { return x; }
static inline u32_vec u32_mul_high(u32_vec x, u32_vec y) { return (uint32_t)((uint64_t)x * y >> 32); }
static inline u32_vec u32_mul_low(u32_vec x, u32_vec y) { return x * y; }
static inline u32_vec u32_xor(u32_vec x, u32_vec y, u32_vec z) { return x ^ y ^ z; }
static inline uint32_t u32_at_least(u32_vec x, u32_vec y) { return x >= y; }

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

#endif
