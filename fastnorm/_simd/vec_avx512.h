/* The vocabulary on AVX-512 F, BW, DQ, VL: a vector is one zmm register. vec_scalar.h says what each operation means.
 */
#ifndef FASTNORM_VEC_H
#define FASTNORM_VEC_H

#include <immintrin.h>

#include "double_bits.h"
#include "half.h"

#define FN_ISA avx512
#define FN_FMA 1

typedef __m512 f32_vec;
typedef __m512d f64_vec;
enum { f32_lanes = 16, f64_lanes = 8, vec_streams = 1 };

static inline f32_vec f32_set1(fn_f32 a) { return _mm512_set1_ps(a); }
static inline f64_vec f64_set1(fn_f64 a) { return _mm512_set1_pd(a); }
static inline f32_vec f32_add(f32_vec a, f32_vec b) { return _mm512_add_ps(a, b); }
static inline f64_vec f64_add(f64_vec a, f64_vec b) { return _mm512_add_pd(a, b); }
static inline f32_vec f32_sub(f32_vec a, f32_vec b) { return _mm512_sub_ps(a, b); }
static inline f64_vec f64_sub(f64_vec a, f64_vec b) { return _mm512_sub_pd(a, b); }
static inline f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return _mm512_fmadd_pd(a, b, c); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm512_mul_ps(a, b); }
static inline f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm512_mul_pd(a, b); }
static inline f32_vec f32_div(f32_vec a, f32_vec b) { return _mm512_div_ps(a, b); }
static inline f64_vec f64_div(f64_vec a, f64_vec b) { return _mm512_div_pd(a, b); }
static inline f32_vec f32_min(f32_vec a, f32_vec b) { return _mm512_min_ps(a, b); }
static inline f64_vec f64_min(f64_vec a, f64_vec b) { return _mm512_min_pd(a, b); }
static inline f32_vec f32_max(f32_vec a, f32_vec b) { return _mm512_max_ps(a, b); }
static inline f64_vec f64_max(f64_vec a, f64_vec b) { return _mm512_max_pd(a, b); }
static inline f32_vec f32_sqrt(f32_vec a) { return _mm512_sqrt_ps(a); }
static inline f64_vec f64_sqrt(f64_vec a) { return _mm512_sqrt_pd(a); }
static inline f32_vec f32_abs(f32_vec a) { return _mm512_abs_ps(a); }
static inline f64_vec f64_abs(f64_vec a) { return _mm512_abs_pd(a); }
static inline f64_vec f64_lost(f64_vec a, f64_vec b, f64_vec product) { return _mm512_fmsub_pd(a, b, product); }
static inline f64_vec f64_if_less(f64_vec a, f64_vec b, f64_vec yes, f64_vec no)
{
    return _mm512_mask_mov_pd(no, _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ), yes);
}
static inline f64_vec f64_split(f64_vec a, f64_vec *exponent)
{
    const __m512i bits = _mm512_add_epi64(_mm512_castpd_si512(a), _mm512_set1_epi64(FN_SPLIT_AT));
    const __m512i integer = _mm512_or_si512(_mm512_srli_epi64(bits, 52), _mm512_set1_epi64(FN_INTEGER));
    const __m512i mantissa = _mm512_and_si512(bits, _mm512_set1_epi64(FN_MANTISSA));
    *exponent = _mm512_sub_pd(_mm512_castsi512_pd(integer), _mm512_set1_pd(0x1p52 + 1023));
    return _mm512_castsi512_pd(_mm512_add_epi64(mantissa, _mm512_set1_epi64(FN_ROOT_HALF)));
}
static inline f64_vec f64_power_of_2(f64_vec n)
{
    const __m512d biased = _mm512_add_pd(n, _mm512_set1_pd(0x1p52 + 1023));
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(biased), 52));
}

static inline fn_f32 f32_tree(f32_vec a)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

static inline fn_f64 f64_tree(f64_vec a)
{
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

static inline f32_vec f32_keep(f32_vec a, f32_vec fill, ptrdiff_t n)
{
    return _mm512_mask_mov_ps(fill, (__mmask16)((1u << n) - 1), a);
}

static inline f64_vec f64_keep(f64_vec a, f64_vec fill, ptrdiff_t n)
{
    return _mm512_mask_mov_pd(fill, (__mmask8)((1u << n) - 1), a);
}

static inline f32_vec f32_select(uint64_t bits, f32_vec a) { return _mm512_maskz_mov_ps((__mmask16)bits, a); }
static inline f64_vec f64_select(uint64_t bits, f64_vec a) { return _mm512_maskz_mov_pd((__mmask8)bits, a); }

/* Even and odd lanes, each in the low half of 64 bits; what the high half holds does not matter. */
typedef struct {
    __m512i even, odd;
} u32_vec;
enum { u32_lanes = 16 };

static inline u32_vec u32_set1(uint32_t a) { return (u32_vec){_mm512_set1_epi32((int)a), _mm512_set1_epi32((int)a)}; }
static inline u32_vec u32_count(uint32_t a)
{
    const __m512i first = _mm512_set1_epi32((int)a);
    const __m512i even = _mm512_setr_epi32(0, 0, 2, 0, 4, 0, 6, 0, 8, 0, 10, 0, 12, 0, 14, 0);
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i start = _mm512_add_epi32(first, even);
    return (u32_vec){start, _mm512_add_epi32(start, one)};
}
static inline u32_vec u32_mul_low(u32_vec a, u32_vec b)
{
    return (u32_vec){_mm512_mul_epu32(a.even, b.even), _mm512_mul_epu32(a.odd, b.odd)};
}
static inline u32_vec u32_mul_high(u32_vec a, u32_vec b)
{
    const u32_vec product = u32_mul_low(a, b);
    return (u32_vec){_mm512_srli_epi64(product.even, 32), _mm512_srli_epi64(product.odd, 32)};
}
static inline u32_vec u32_xor(u32_vec a, u32_vec b, u32_vec c)
{
    return (u32_vec){_mm512_ternarylogic_epi32(a.even, b.even, c.even, 0x96),
                     _mm512_ternarylogic_epi32(a.odd, b.odd, c.odd, 0x96)};
}
static inline uint32_t u32_at_least(u32_vec a, u32_vec b)
{
    const __m512i joined = _mm512_mask_shuffle_epi32(a.even, 0xaaaa, a.odd, _MM_PERM_CCAA);
    return _mm512_cmpge_epu32_mask(joined, b.even);
}

/* The 16 or 8 elements of a narrower type that fill one vector. */
static inline f32_vec f32_widen_f16(__m256i a) { return _mm512_cvtph_ps(a); }
static inline f32_vec f32_widen_bf16(__m256i a)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
}
static inline f32_vec f32_widen_u8(__m128i a) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(a)); }
static inline f64_vec f64_widen_u8(__m128i a) { return _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(a)); }
static inline f64_vec f64_widen_f16(__m128i a) { return _mm512_cvtps_pd(_mm256_cvtph_ps(a)); }
static inline f64_vec f64_widen_bf16(__m128i a)
{
    return _mm512_cvtps_pd(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16)));
}

static inline __m256i f32_narrow_f16(f32_vec a) { return _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT); }
static inline __m256i f32_narrow_bf16(f32_vec a)
{
    __m512i bits = _mm512_castps_si512(a), high = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(_mm512_srli_epi32(rounded, 16), nan, high, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(rounded);
}
static inline f32_vec f32_load_f32(const fn_f32 *p) { return _mm512_loadu_ps(p); }
static inline f64_vec f64_load_f64(const fn_f64 *p) { return _mm512_loadu_pd(p); }
static inline f64_vec f64_load_f32(const fn_f32 *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline void f32_store_f32(fn_f32 *p, f32_vec a) { _mm512_storeu_ps(p, a); }
static inline void f64_store_f64(fn_f64 *p, f64_vec a) { _mm512_storeu_pd(p, a); }
static inline void f64_store_f32(fn_f32 *p, f64_vec a) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(a)); }
static inline void f32_stream_f32(fn_f32 *p, f32_vec a) { _mm512_stream_ps(p, a); }
static inline void f64_stream_f64(fn_f64 *p, f64_vec a) { _mm512_stream_pd(p, a); }
static inline void f64_stream_f32(fn_f32 *p, f64_vec a) { _mm256_stream_ps(p, _mm512_cvtpd_ps(a)); }

static inline f32_vec f32_load_part_f32(const fn_f32 *p, ptrdiff_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
static inline f64_vec f64_load_part_f64(const fn_f64 *p, ptrdiff_t n)
{
    return _mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
static inline f64_vec f64_load_part_f32(const fn_f32 *p, ptrdiff_t n)
{
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1), p));
}
static inline void f32_store_part_f32(fn_f32 *p, f32_vec a, ptrdiff_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}
static inline void f64_store_part_f64(fn_f64 *p, f64_vec a, ptrdiff_t n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), a);
}
static inline void f64_store_part_f32(fn_f32 *p, f64_vec a, ptrdiff_t n)
{
    _mm256_mask_storeu_ps(p, (__mmask8)((1u << n) - 1), _mm512_cvtpd_ps(a));
}

static inline __m256i halves16_load_part(const void *p, ptrdiff_t n)
{
    return _mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
}
static inline __m128i halves8_load_part(const void *p, ptrdiff_t n)
{
    return _mm_maskz_loadu_epi16((__mmask8)((1u << n) - 1), p);
}
static inline void halves16_store_part(void *p, __m256i a, ptrdiff_t n)
{
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), a);
}
static inline void halves8_store_part(void *p, __m128i a, ptrdiff_t n)
{
    _mm_mask_storeu_epi16(p, (__mmask8)((1u << n) - 1), a);
}

#include "vec_x86.h"

#endif
