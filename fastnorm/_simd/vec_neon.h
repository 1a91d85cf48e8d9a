/* The vocabulary on AArch64's NEON: the parts of a vector are its registers. vec_scalar.h says what each operation
 * means.
 *
 * Nothing beyond what every AArch64 processor has: no arithmetic on float16, no bfloat16 instructions, no SVE.
 */
#ifndef FASTNORM_VEC_H
#define FASTNORM_VEC_H

#include <arm_neon.h>

#define FN_ISA neon
#define FN_FMA 1

#include "vec_parts.h"

static inline f32_part f32_part_sqrt(f32_part x) { return (f32_part)vsqrtq_f32((float32x4_t)x); }
static inline f64_part f64_part_sqrt(f64_part x) { return (f64_part)vsqrtq_f64((float64x2_t)x); }
static inline f32_part f32_part_fma(f32_part x, f32_part y, f32_part z)
{
    return (f32_part)vfmaq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y);
}
static inline f64_part f64_part_fma(f64_part x, f64_part y, f64_part z)
{
    return (f64_part)vfmaq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y);
}

/* Four values of float32: from and to 16 bits. */
static inline float32x4_t f32x4_from_f16(uint16x4_t x) { return vcvt_f32_f16(vreinterpret_f16_u16(x)); }
static inline float32x4_t f32x4_from_bf16(uint16x4_t x) { return vreinterpretq_f32_u32(vshll_n_u16(x, 16)); }
static inline uint16x4_t f16_from_f32x4(float32x4_t x) { return vreinterpret_u16_f16(vcvt_f16_f32(x)); }
static inline uint16x4_t bf16_from_f32x4(float32x4_t x)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(x), high = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
    const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff))), 16);
    const uint32x4_t quiet = vorrq_u32(high, vdupq_n_u32(0x40));
    return vmovn_u32(vbslq_u32(vceqq_f32(x, x), rounded, quiet));
}

/* Two parts of float64 from and to four values of float32; rounded to odd where 16 bits are to be had of them. */
static inline void f64_widen(float32x4_t x, f64_part *low, f64_part *high)
{
    *low = (f64_part)vcvt_f64_f32(vget_low_f32(x));
    *high = (f64_part)vcvt_high_f64_f32(x);
}
static inline float32x4_t f64_narrow(f64_part low, f64_part high)
{
    return vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low), (float64x2_t)high);
}
static inline float32x4_t f64_narrow_to_odd(f64_part low, f64_part high)
{
    return vcvtx_high_f32_f64(vcvtx_f32_f64((float64x2_t)low), (float64x2_t)high);
}

#define FN_PAIRS_OF_PARTS for (int k = 0; k < vec_parts / 2; k++)

#define FN_HALF(t)                                                                                                     \
    static inline f32_vec f32_load_##t(const fn_##t *p)                                                                \
    {                                                                                                                  \
        f32_vec x;                                                                                                     \
        FN_PARTS x.part[k] = (f32_part)f32x4_from_##t(vld1_u16((const uint16_t *)p + 4 * k));                          \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline void f32_store_##t(fn_##t *p, f32_vec x)                                                             \
    {                                                                                                                  \
        FN_PARTS vst1_u16((uint16_t *)p + 4 * k, t##_from_f32x4((float32x4_t)x.part[k]));                              \
    }                                                                                                                  \
    static inline f64_vec f64_load_##t(const fn_##t *p)                                                                \
    {                                                                                                                  \
        f64_vec x;                                                                                                     \
        FN_PAIRS_OF_PARTS                                                                                              \
        f64_widen(f32x4_from_##t(vld1_u16((const uint16_t *)p + 4 * k)), &x.part[2 * k], &x.part[2 * k + 1]);          \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline void f64_store_##t(fn_##t *p, f64_vec x)                                                             \
    {                                                                                                                  \
        FN_PAIRS_OF_PARTS                                                                                              \
        vst1_u16((uint16_t *)p + 4 * k, t##_from_f32x4(f64_narrow_to_odd(x.part[2 * k], x.part[2 * k + 1])));          \
    }                                                                                                                  \
    FN_STORAGE(f32, t)                                                                                                 \
    FN_STORAGE(f64, t)
FN_HALF(f16)
FN_HALF(bf16)
#undef FN_HALF

static inline f64_vec f64_load_f32(const fn_f32 *p)
{
    f64_vec x;
    FN_PAIRS_OF_PARTS f64_widen(vld1q_f32(p + 4 * k), &x.part[2 * k], &x.part[2 * k + 1]);
    return x;
}
static inline void f64_store_f32(fn_f32 *p, f64_vec x)
{
    FN_PAIRS_OF_PARTS vst1q_f32(p + 4 * k, f64_narrow(x.part[2 * k], x.part[2 * k + 1]));
}
FN_STORAGE(f64, f32)

static inline f64_vec f64_load_u8(const fn_u8 *p)
{
    const uint16x8_t wide = vmovl_u8(vld1_u8(p));
    f64_vec x;
    f64_widen(vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))), &x.part[0], &x.part[1]);
    f64_widen(vcvtq_f32_u32(vmovl_high_u16(wide)), &x.part[2], &x.part[3]);
    return x;
}
static inline f32_vec f32_load_u8(const fn_u8 *p)
{
    const uint8x16_t bytes = vld1q_u8(p);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    return (f32_vec){{
        (f32_part)vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))),
        (f32_part)vcvtq_f32_u32(vmovl_high_u16(low)),
        (f32_part)vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))),
        (f32_part)vcvtq_f32_u32(vmovl_high_u16(high)),
    }};
}
FN_LOAD_PART(f32, u8)
FN_LOAD_PART(f64, u8)
#undef FN_PAIRS_OF_PARTS

static inline void bytes_split3(const fn_u8 *p, fn_u8 *to, ptrdiff_t gap)
{
    const uint8x16x3_t channels = vld3q_u8(p);
    for (int c = 0; c < 3; c++)
        vst1q_u8(to + c * gap, channels.val[c]);
}
static inline void bytes_split4(const fn_u8 *p, fn_u8 *to, ptrdiff_t gap)
{
    const uint8x16x4_t channels = vld4q_u8(p);
    for (int c = 0; c < 4; c++)
        vst1q_u8(to + c * gap, channels.val[c]);
}
static inline void bytes_shuffle(fn_u8 *to, const fn_u8 *p, const fn_u8 *index)
{
    vst1q_u8(to, vqtbl1q_u8(vld1q_u8(p), vld1q_u8(index)));
}

enum { u32_lanes = 4 };
typedef uint32x4_t u32_vec;
static inline u32_vec u32_set1(uint32_t x) { return vdupq_n_u32(x); }
static inline u32_vec u32_count(uint32_t x)
{
    const uint32_t steps[4] = {0, 1, 2, 3};
    return vaddq_u32(vdupq_n_u32(x), vld1q_u32(steps));
}
static inline u32_vec u32_mul_low(u32_vec x, u32_vec y) { return vmulq_u32(x, y); }
static inline u32_vec u32_mul_high(u32_vec x, u32_vec y)
{
    const uint64x2_t low = vmull_u32(vget_low_u32(x), vget_low_u32(y)), high = vmull_high_u32(x, y);
    return vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
}
static inline u32_vec u32_xor(u32_vec x, u32_vec y, u32_vec z) { return veorq_u32(x, veorq_u32(y, z)); }
static inline uint32_t u32_at_least(u32_vec x, u32_vec y)
{
    const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcgeq_u32(x, y), vld1q_u32(bits)));
}

#endif
