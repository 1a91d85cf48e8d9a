/* What the two x86 vocabularies share: 16-bit storage, given how each widens, narrows and masks it, and bytes, given
 * how each widens them. Included by them. */
#ifndef FASTNORM_VEC_X86_H
#define FASTNORM_VEC_X86_H

/* float64 to 16 bits has no instruction here that rounds once. */
#define FN_HALF(half)                                                                                                  \
    static inline __m128i f64_narrow_##half(f64_vec a)                                                                 \
    {                                                                                                                  \
        fn_f64 wide[f64_lanes];                                                                                        \
        fn_##half narrow[f64_lanes];                                                                                   \
        f64_store_f64(wide, a);                                                                                        \
        for (int i = 0; i < f64_lanes; i++)                                                                            \
            narrow[i] = half##_from_f64(wide[i]);                                                                      \
        return _mm_loadu_si128((const __m128i *)narrow);                                                               \
    }                                                                                                                  \
    static inline f32_vec f32_load_##half(const fn_##half *p)                                                          \
    {                                                                                                                  \
        return f32_widen_##half(_mm256_loadu_si256((const __m256i *)p));                                               \
    }                                                                                                                  \
    static inline f64_vec f64_load_##half(const fn_##half *p)                                                          \
    {                                                                                                                  \
        return f64_widen_##half(_mm_loadu_si128((const __m128i *)p));                                                  \
    }                                                                                                                  \
    static inline f32_vec f32_load_part_##half(const fn_##half *p, ptrdiff_t n)                                        \
    {                                                                                                                  \
        return f32_widen_##half(halves16_load_part(p, n));                                                             \
    }                                                                                                                  \
    static inline f64_vec f64_load_part_##half(const fn_##half *p, ptrdiff_t n)                                        \
    {                                                                                                                  \
        return f64_widen_##half(halves8_load_part(p, n));                                                              \
    }                                                                                                                  \
    static inline void f32_store_##half(fn_##half *p, f32_vec a)                                                       \
    {                                                                                                                  \
        _mm256_storeu_si256((__m256i *)p, f32_narrow_##half(a));                                                       \
    }                                                                                                                  \
    static inline void f64_store_##half(fn_##half *p, f64_vec a)                                                       \
    {                                                                                                                  \
        _mm_storeu_si128((__m128i *)p, f64_narrow_##half(a));                                                          \
    }                                                                                                                  \
    static inline void f32_store_part_##half(fn_##half *p, f32_vec a, ptrdiff_t n)                                     \
    {                                                                                                                  \
        halves16_store_part(p, f32_narrow_##half(a), n);                                                               \
    }                                                                                                                  \
    static inline void f64_store_part_##half(fn_##half *p, f64_vec a, ptrdiff_t n)                                     \
    {                                                                                                                  \
        halves8_store_part(p, f64_narrow_##half(a), n);                                                                \
    }                                                                                                                  \
    static inline void f32_stream_##half(fn_##half *p, f32_vec a)                                                      \
    {                                                                                                                  \
        _mm256_stream_si256((__m256i *)p, f32_narrow_##half(a));                                                       \
    }                                                                                                                  \
    static inline void f64_stream_##half(fn_##half *p, f64_vec a)                                                      \
    {                                                                                                                  \
        _mm_stream_si128((__m128i *)p, f64_narrow_##half(a));                                                          \
    }
FN_HALF(f16)
FN_HALF(bf16)
#undef FN_HALF

static inline __m128i bytes_load(const fn_u8 *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline void bytes_store(fn_u8 *p, __m128i a) { _mm_storeu_si128((__m128i *)p, a); }

#define FN_BYTES(c)                                                                                                    \
    static inline c##_vec c##_load_part_u8(const fn_u8 *p, ptrdiff_t n)                                                \
    {                                                                                                                  \
        fn_u8 buffer[16] = {0};                                                                                        \
        memcpy(buffer, p, (size_t)n);                                                                                  \
        return c##_widen_u8(bytes_load(buffer));                                                                       \
    }
FN_BYTES(f32)
FN_BYTES(f64)
#undef FN_BYTES
static inline f32_vec f32_load_u8(const fn_u8 *p) { return f32_widen_u8(bytes_load(p)); }
static inline f64_vec f64_load_u8(const fn_u8 *p) { return f64_widen_u8(_mm_loadl_epi64((const __m128i *)p)); }

/* Three loads of 16 bytes hold byte k of pixel i at 3 * i + k. Modulo 16 these places differ for every i: so the three
 * merge into one vector, each giving every third of its bytes, which a shuffle then puts in order. */
static inline void bytes_split3(const fn_u8 *p, fn_u8 *to, ptrdiff_t gap)
{
    const __m128i a = bytes_load(p), b = bytes_load(p + 16), c = bytes_load(p + 32);
    const __m128i third0 = _mm_setr_epi8(-1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1);
    const __m128i third1 = _mm_slli_si128(third0, 1), third2 = _mm_slli_si128(third0, 2);
    const __m128i order = _mm_setr_epi8(0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13);
    const __m128i one = _mm_set1_epi8(1), low = _mm_set1_epi8(15);
    const __m128i order1 = _mm_and_si128(_mm_add_epi8(order, one), low);
    const __m128i order2 = _mm_and_si128(_mm_add_epi8(order1, one), low);
    const __m128i all0 = _mm_blendv_epi8(_mm_blendv_epi8(a, b, third2), c, third1);
    const __m128i all1 = _mm_blendv_epi8(_mm_blendv_epi8(a, b, third0), c, third2);
    const __m128i all2 = _mm_blendv_epi8(_mm_blendv_epi8(a, b, third1), c, third0);
    bytes_store(to, _mm_shuffle_epi8(all0, order));
    bytes_store(to + gap, _mm_shuffle_epi8(all1, order1));
    bytes_store(to + 2 * gap, _mm_shuffle_epi8(all2, order2));
}
/* The bytes of four pixels in order of channels, then a transposition of 4 x 4 groups of four bytes. */
static inline void bytes_split4(const fn_u8 *p, fn_u8 *to, ptrdiff_t gap)
{
    const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m128i a = _mm_shuffle_epi8(bytes_load(p), order), b = _mm_shuffle_epi8(bytes_load(p + 16), order);
    const __m128i c = _mm_shuffle_epi8(bytes_load(p + 32), order), d = _mm_shuffle_epi8(bytes_load(p + 48), order);
    const __m128i ab01 = _mm_unpacklo_epi32(a, b), ab23 = _mm_unpackhi_epi32(a, b);
    const __m128i cd01 = _mm_unpacklo_epi32(c, d), cd23 = _mm_unpackhi_epi32(c, d);
    bytes_store(to, _mm_unpacklo_epi64(ab01, cd01));
    bytes_store(to + gap, _mm_unpackhi_epi64(ab01, cd01));
    bytes_store(to + 2 * gap, _mm_unpacklo_epi64(ab23, cd23));
    bytes_store(to + 3 * gap, _mm_unpackhi_epi64(ab23, cd23));
}
static inline void bytes_shuffle(fn_u8 *to, const fn_u8 *p, const fn_u8 *index)
{
    bytes_store(to, _mm_shuffle_epi8(bytes_load(p), bytes_load(index)));
}

static inline void vec_prefetch(const void *p, ptrdiff_t offset, size_t bytes)
{
    for (size_t line = 0; line < bytes; line += 64)
        _mm_prefetch((const char *)((uintptr_t)p + (uintptr_t)offset + line), _MM_HINT_T0);
}
static inline void vec_fence(void) { _mm_sfence(); }

#endif
