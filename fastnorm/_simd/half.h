/* float16 and bfloat16 to and from float32 and float64, one value at a time, in integer arithmetic.
 *
 * For the scalar tier, and where an ISA has no instruction: float64 to a 16-bit type must round once, so it goes
 * through a float32 rounded to odd (Boldo and Melquiond 2008), which keeps what the second rounding needs.
 * All results round to nearest even; NaN stays NaN.
 */
#ifndef FASTNORM_HALF_H
#define FASTNORM_HALF_H

#include <string.h>

#include "problem.h"

static inline uint32_t bits_from_f32(fn_f32 value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline fn_f32 f32_from_bits(uint32_t bits)
{
    fn_f32 value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline fn_f32 f32_from_bf16(fn_bf16 half) { return f32_from_bits((uint32_t)(uint16_t)half << 16); }

static inline fn_bf16 bf16_from_f32(fn_f32 value)
{
    uint32_t bits = bits_from_f32(value);
    if (value != value)
        return (fn_bf16)(bits >> 16 | 0x40);
    return (fn_bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline fn_f32 f32_from_f16(fn_f16 half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
    if (magnitude >= 0x7c00)
        return f32_from_bits(sign | 0x7f800000 | magnitude << 13);
    if (magnitude >= 0x0400)
        return f32_from_bits(sign | ((magnitude << 13) + (112u << 23)));
    return f32_from_bits(sign | bits_from_f32((fn_f32)magnitude * 0x1p-24f)); /* subnormal: a multiple of 2^-24 */
}

static inline fn_f16 f16_from_f32(fn_f32 value)
{
    uint32_t bits = bits_from_f32(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (fn_f16)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x47800000) /* 65536 and above */
        return (fn_f16)(sign | 0x7c00);
    if (magnitude < 0x38800000) /* below 2^-14: adding 0.5 rounds at the last bit of a subnormal, 2^-24 */
        return (fn_f16)(sign | (bits_from_f32(f32_from_bits(magnitude) + 0.5f) - bits_from_f32(0.5f)));
    magnitude -= 112u << 23;
    return (fn_f16)(sign | (magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

static inline fn_f32 f32_odd_from_f64(fn_f64 value)
{
    fn_f32 rounded = (fn_f32)value;
    uint32_t bits = bits_from_f32(rounded);
    if (value != value || (fn_f64)rounded == value)
        return rounded;
    if ((fn_f64)f32_from_bits(bits & 0x7fffffff) > (value < 0 ? -value : value))
        bits -= 1;
    return f32_from_bits(bits | 1);
}

static inline fn_f16 f16_from_f64(fn_f64 value) { return f16_from_f32(f32_odd_from_f64(value)); }

static inline fn_bf16 bf16_from_f64(fn_f64 value) { return bf16_from_f32(f32_odd_from_f64(value)); }

/* The remaining pairs, so that a template can spell any of them. */
static inline fn_f64 f64_from_f64(fn_f64 value) { return value; }

static inline fn_f64 f64_from_f32(fn_f32 value) { return value; }

static inline fn_f64 f64_from_f16(fn_f16 half) { return f32_from_f16(half); }

static inline fn_f64 f64_from_bf16(fn_bf16 half) { return f32_from_bf16(half); }

static inline fn_f32 f32_from_f32(fn_f32 value) { return value; }

static inline fn_f32 f32_from_f64(fn_f64 value) { return (fn_f32)value; }

#endif
