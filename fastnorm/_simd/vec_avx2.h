/* The vocabulary on AVX2, FMA and F16C: a vector is two ymm registers. vec_scalar.h says what each operation means. */
#ifndef FASTNORM_VEC_H
#define FASTNORM_VEC_H

#include <immintrin.h>

#include "double_bits.h"
#include "half.h"

#define FN_ISA avx2
#define FN_FMA 1

typedef struct {
    __m256 a, b;
} f32_vec;
typedef struct {
    __m256d a, b;
} f64_vec;
enum { f32_lanes = 16, f64_lanes = 8, vec_streams = 1 };

static inline f32_vec f32_set1(fn_f32 x) { return (f32_vec){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline f64_vec f64_set1(fn_f64 x) { return (f64_vec){_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
static inline f32_vec f32_add(f32_vec x, f32_vec y)
{
    return (f32_vec){_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
static inline f64_vec f64_add(f64_vec x, f64_vec y)
{
    return (f64_vec){_mm256_add_pd(x.a, y.a), _mm256_add_pd(x.b, y.b)};
}
static inline f32_vec f32_sub(f32_vec x, f32_vec y)
{
    return (f32_vec){_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
static inline f64_vec f64_sub(f64_vec x, f64_vec y)
{
    return (f64_vec){_mm256_sub_pd(x.a, y.a), _mm256_sub_pd(x.b, y.b)};
}
static inline f32_vec f32_fma(f32_vec x, f32_vec y, f32_vec z)
{
    return (f32_vec){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
static inline f64_vec f64_fma(f64_vec x, f64_vec y, f64_vec z)
{
    return (f64_vec){_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b)};
}

#define FN_LANE_BY_LANE(operation)                                                                                     \
    static inline f32_vec f32_##operation(f32_vec x, f32_vec y)                                                        \
    {                                                                                                                  \
        return (f32_vec){_mm256_##operation##_ps(x.a, y.a), _mm256_##operation##_ps(x.b, y.b)};                        \
    }                                                                                                                  \
    static inline f64_vec f64_##operation(f64_vec x, f64_vec y)                                                        \
    {                                                                                                                  \
        return (f64_vec){_mm256_##operation##_pd(x.a, y.a), _mm256_##operation##_pd(x.b, y.b)};                        \
    }
FN_LANE_BY_LANE(mul)
FN_LANE_BY_LANE(div)
FN_LANE_BY_LANE(min)
FN_LANE_BY_LANE(max)
#undef FN_LANE_BY_LANE
static inline f32_vec f32_sqrt(f32_vec x) { return (f32_vec){_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
static inline f64_vec f64_sqrt(f64_vec x) { return (f64_vec){_mm256_sqrt_pd(x.a), _mm256_sqrt_pd(x.b)}; }
static inline f32_vec f32_abs(f32_vec x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (f32_vec){_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
static inline f64_vec f64_abs(f64_vec x)
{
    const __m256d sign = _mm256_set1_pd(-0.0);
    return (f64_vec){_mm256_andnot_pd(sign, x.a), _mm256_andnot_pd(sign, x.b)};
}
static inline f64_vec f64_lost(f64_vec x, f64_vec y, f64_vec product)
{
    return (f64_vec){_mm256_fmsub_pd(x.a, y.a, product.a), _mm256_fmsub_pd(x.b, y.b, product.b)};
}
static inline f64_vec f64_if_less(f64_vec x, f64_vec y, f64_vec yes, f64_vec no)
{
    return (f64_vec){_mm256_blendv_pd(no.a, yes.a, _mm256_cmp_pd(x.a, y.a, _CMP_LT_OQ)),
                     _mm256_blendv_pd(no.b, yes.b, _mm256_cmp_pd(x.b, y.b, _CMP_LT_OQ))};
}
static inline __m256d ymm_split(__m256d x, __m256d *exponent)
{
    const __m256i bits = _mm256_add_epi64(_mm256_castpd_si256(x), _mm256_set1_epi64x(FN_SPLIT_AT));
    const __m256i integer = _mm256_or_si256(_mm256_srli_epi64(bits, 52), _mm256_set1_epi64x(FN_INTEGER));
    const __m256i mantissa = _mm256_and_si256(bits, _mm256_set1_epi64x(FN_MANTISSA));
    *exponent = _mm256_sub_pd(_mm256_castsi256_pd(integer), _mm256_set1_pd(0x1p52 + 1023));
    return _mm256_castsi256_pd(_mm256_add_epi64(mantissa, _mm256_set1_epi64x(FN_ROOT_HALF)));
}
static inline f64_vec f64_split(f64_vec x, f64_vec *exponent)
{
    return (f64_vec){ymm_split(x.a, &exponent->a), ymm_split(x.b, &exponent->b)};
}
static inline __m256d ymm_power_of_2(__m256d n)
{
    const __m256d biased = _mm256_add_pd(n, _mm256_set1_pd(0x1p52 + 1023));
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(biased), 52));
}
static inline f64_vec f64_power_of_2(f64_vec n) { return (f64_vec){ymm_power_of_2(n.a), ymm_power_of_2(n.b)}; }

static inline fn_f32 f32_tree(f32_vec x)
{
    __m256 h = _mm256_add_ps(x.a, x.b);
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

static inline fn_f64 f64_tree(f64_vec x)
{
    __m256d h = _mm256_add_pd(x.a, x.b);
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/* All ones in the first n of 8 32-bit or 4 64-bit lanes; n may be negative or past the end. */
static inline __m256i mask8(ptrdiff_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline __m256i mask4(ptrdiff_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}

static inline f32_vec f32_keep(f32_vec x, f32_vec fill, ptrdiff_t n)
{
    return (f32_vec){_mm256_blendv_ps(fill.a, x.a, _mm256_castsi256_ps(mask8(n))),
                     _mm256_blendv_ps(fill.b, x.b, _mm256_castsi256_ps(mask8(n - 8)))};
}
static inline f64_vec f64_keep(f64_vec x, f64_vec fill, ptrdiff_t n)
{
    return (f64_vec){_mm256_blendv_pd(fill.a, x.a, _mm256_castsi256_pd(mask4(n))),
                     _mm256_blendv_pd(fill.b, x.b, _mm256_castsi256_pd(mask4(n - 4)))};
}

static inline f32_vec f32_select(uint64_t bits, f32_vec x)
{
    const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), high = _mm256_slli_epi32(each, 8);
    const __m256i all = _mm256_set1_epi32((int)bits);
    const __m256i a = _mm256_cmpeq_epi32(_mm256_and_si256(all, each), each);
    const __m256i b = _mm256_cmpeq_epi32(_mm256_and_si256(all, high), high);
    return (f32_vec){_mm256_and_ps(x.a, _mm256_castsi256_ps(a)), _mm256_and_ps(x.b, _mm256_castsi256_ps(b))};
}
static inline f64_vec f64_select(uint64_t bits, f64_vec x)
{
    const __m256i each = _mm256_setr_epi64x(1, 2, 4, 8), high = _mm256_slli_epi64(each, 4);
    const __m256i all = _mm256_set1_epi64x((long long)bits);
    const __m256i a = _mm256_cmpeq_epi64(_mm256_and_si256(all, each), each);
    const __m256i b = _mm256_cmpeq_epi64(_mm256_and_si256(all, high), high);
    return (f64_vec){_mm256_and_pd(x.a, _mm256_castsi256_pd(a)), _mm256_and_pd(x.b, _mm256_castsi256_pd(b))};
}

/* Even and odd lanes, each in the low half of 64 bits; what the high half holds does not matter. */
typedef struct {
    __m256i even, odd;
} u32_vec;
enum { u32_lanes = 8 };

static inline u32_vec u32_set1(uint32_t x) { return (u32_vec){_mm256_set1_epi32((int)x), _mm256_set1_epi32((int)x)}; }
static inline u32_vec u32_count(uint32_t x)
{
    const __m256i first = _mm256_set1_epi32((int)x);
    return (u32_vec){_mm256_add_epi32(first, _mm256_setr_epi32(0, 0, 2, 0, 4, 0, 6, 0)),
                     _mm256_add_epi32(first, _mm256_setr_epi32(1, 0, 3, 0, 5, 0, 7, 0))};
}
static inline u32_vec u32_mul_low(u32_vec x, u32_vec y)
{
    return (u32_vec){_mm256_mul_epu32(x.even, y.even), _mm256_mul_epu32(x.odd, y.odd)};
}
static inline u32_vec u32_mul_high(u32_vec x, u32_vec y)
{
    const u32_vec product = u32_mul_low(x, y);
    return (u32_vec){_mm256_shuffle_epi32(product.even, 0xf5), _mm256_shuffle_epi32(product.odd, 0xf5)};
}
/* x is the last to be known in a chain. */
static inline u32_vec u32_xor(u32_vec x, u32_vec y, u32_vec z)
{
    return (u32_vec){_mm256_xor_si256(x.even, _mm256_xor_si256(y.even, z.even)),
                     _mm256_xor_si256(x.odd, _mm256_xor_si256(y.odd, z.odd))};
}
static inline uint32_t u32_at_least(u32_vec x, u32_vec y)
{
    const __m256i joined = _mm256_blend_epi32(x.even, _mm256_slli_epi64(x.odd, 32), 0xaa);
    const __m256i is = _mm256_cmpeq_epi32(_mm256_max_epu32(joined, y.even), joined);
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(is));
}

/* The 16 or 8 elements of a narrower type that fill one vector. */
static inline f64_vec f64_widen_f32(__m256 x)
{
    return (f64_vec){_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))};
}
static inline f32_vec f32_widen_f16(__m256i x)
{
    return (f32_vec){_mm256_cvtph_ps(_mm256_castsi256_si128(x)), _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))};
}
static inline __m256 ymm_widen_bf16(__m128i x)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
static inline f32_vec f32_widen_bf16(__m256i x)
{
    return (f32_vec){ymm_widen_bf16(_mm256_castsi256_si128(x)), ymm_widen_bf16(_mm256_extracti128_si256(x, 1))};
}
static inline f32_vec f32_widen_u8(__m128i x)
{
    return (f32_vec){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x)),
                     _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(x, x)))};
}
static inline f64_vec f64_widen_u8(__m128i x)
{
    return (f64_vec){_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(x)),
                     _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_srli_epi64(x, 32)))};
}
static inline f64_vec f64_widen_f16(__m128i x) { return f64_widen_f32(_mm256_cvtph_ps(x)); }
static inline f64_vec f64_widen_bf16(__m128i x) { return f64_widen_f32(ymm_widen_bf16(x)); }

static inline __m256 f64_narrow_f32(f64_vec x) { return _mm256_set_m128(_mm256_cvtpd_ps(x.b), _mm256_cvtpd_ps(x.a)); }
static inline __m256i f32_narrow_f16(f32_vec x)
{
    return _mm256_set_m128i(_mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT),
                            _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
}
static inline __m256i ymm_narrow_bf16(__m256 x) /* in 32-bit lanes */
{
    __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_srli_epi32(rounded, 16), _mm256_or_si256(high, _mm256_set1_epi32(0x40)), nan);
}
static inline __m256i f32_narrow_bf16(f32_vec x)
{
    __m256i packed = _mm256_packus_epi32(ymm_narrow_bf16(x.a), ymm_narrow_bf16(x.b));
    return _mm256_permute4x64_epi64(packed, 0xd8); /* packus works within 128-bit halves */
}

static inline f32_vec f32_load_f32(const fn_f32 *p) { return (f32_vec){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline f64_vec f64_load_f64(const fn_f64 *p) { return (f64_vec){_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
static inline f64_vec f64_load_f32(const fn_f32 *p) { return f64_widen_f32(_mm256_loadu_ps(p)); }
static inline void f32_store_f32(fn_f32 *p, f32_vec x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
static inline void f64_store_f64(fn_f64 *p, f64_vec x)
{
    _mm256_storeu_pd(p, x.a);
    _mm256_storeu_pd(p + 4, x.b);
}
static inline void f64_store_f32(fn_f32 *p, f64_vec x) { _mm256_storeu_ps(p, f64_narrow_f32(x)); }
static inline void f32_stream_f32(fn_f32 *p, f32_vec x)
{
    _mm256_stream_ps(p, x.a);
    _mm256_stream_ps(p + 8, x.b);
}
static inline void f64_stream_f64(fn_f64 *p, f64_vec x)
{
    _mm256_stream_pd(p, x.a);
    _mm256_stream_pd(p + 4, x.b);
}
static inline void f64_stream_f32(fn_f32 *p, f64_vec x) { _mm256_stream_ps(p, f64_narrow_f32(x)); }

static inline f32_vec f32_load_part_f32(const fn_f32 *p, ptrdiff_t n)
{
    return (f32_vec){_mm256_maskload_ps(p, mask8(n)), _mm256_maskload_ps(p + 8, mask8(n - 8))};
}
static inline f64_vec f64_load_part_f64(const fn_f64 *p, ptrdiff_t n)
{
    return (f64_vec){_mm256_maskload_pd(p, mask4(n)), _mm256_maskload_pd(p + 4, mask4(n - 4))};
}
static inline f64_vec f64_load_part_f32(const fn_f32 *p, ptrdiff_t n)
{
    return f64_widen_f32(_mm256_maskload_ps(p, mask8(n)));
}
static inline void f32_store_part_f32(fn_f32 *p, f32_vec x, ptrdiff_t n)
{
    _mm256_maskstore_ps(p, mask8(n), x.a);
    _mm256_maskstore_ps(p + 8, mask8(n - 8), x.b);
}
static inline void f64_store_part_f64(fn_f64 *p, f64_vec x, ptrdiff_t n)
{
    _mm256_maskstore_pd(p, mask4(n), x.a);
    _mm256_maskstore_pd(p + 4, mask4(n - 4), x.b);
}
static inline void f64_store_part_f32(fn_f32 *p, f64_vec x, ptrdiff_t n)
{
    _mm256_maskstore_ps(p, mask8(n), f64_narrow_f32(x));
}

/* AVX2 has no 16-bit masks: parts go through a buffer. */
static inline __m256i halves16_load_part(const void *p, ptrdiff_t n)
{
    uint16_t buffer[16] = {0};
    memcpy(buffer, p, (size_t)n * sizeof buffer[0]);
    return _mm256_loadu_si256((const __m256i *)buffer);
}
static inline __m128i halves8_load_part(const void *p, ptrdiff_t n)
{
    return _mm256_castsi256_si128(halves16_load_part(p, n));
}
static inline void halves16_store_part(void *p, __m256i x, ptrdiff_t n)
{
    uint16_t buffer[16];
    _mm256_storeu_si256((__m256i *)buffer, x);
    memcpy(p, buffer, (size_t)n * sizeof buffer[0]);
}
static inline void halves8_store_part(void *p, __m128i x, ptrdiff_t n)
{
    halves16_store_part(p, _mm256_castsi128_si256(x), n);
}

#include "vec_x86.h"

#endif
