/* Numbers out of a fuzzer's bytes, and, once those are used up, out of a generator that they seed: a few bytes make a
 * whole problem, and each of them decides something. */
#ifndef FASTNORM_DRAW_H
#define FASTNORM_DRAW_H

#include <float.h>
#include <math.h>

#include "half.h"

typedef struct {
    const uint8_t *at;
    size_t left;
    uint64_t state;
} fn_draw;

/* The next number of a generator (splitmix64). */
static inline uint64_t draw_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline fn_draw draw_start(const uint8_t *bytes, size_t n)
{
    fn_draw d = {bytes, n, n};
    for (size_t i = 0; i < n; i++)
        d.state = (d.state ^ bytes[i]) * 0x100000001b3;
    return d;
}

static inline uint64_t draw_bits(fn_draw *d, size_t bytes)
{
    uint64_t bits = 0;
    if (d->left < bytes)
        return draw_next(&d->state) >> (64 - 8 * bytes);
    memcpy(&bits, d->at, bytes);
    d->at += bytes;
    d->left -= bytes;
    return bits;
}

static inline ptrdiff_t draw_below(fn_draw *d, ptrdiff_t n)
{
    return (ptrdiff_t)(draw_bits(d, n <= 1 << 8 ? 1 : n <= 1 << 16 ? 2 : 4) % (uint64_t)n);
}

static inline int draw_one_in(fn_draw *d, ptrdiff_t n) { return draw_below(d, n) == 0; }

/* From 1 to most: around lanes, pilots, leaves, tiles and chunks, or short, or any. */
static inline ptrdiff_t draw_length(fn_draw *d, ptrdiff_t most)
{
    static const int near[] = {1,    2,    3,    7,    8,    9,    15,   16,   17,   31,    32,    33,   48,   63,
                               64,   65,   127,  128,  129,  255,  256,  257,  511,  512,   513,   528,  1023, 1024,
                               1025, 1040, 2047, 2048, 2049, 4095, 4096, 4097, 4110, 65535, 65536, 65537};
    const ptrdiff_t how = draw_below(d, 4);
    if (most <= 1)
        return 1;
    if (how > 1)
        return 1 + draw_below(d, how == 2 || most < 20 ? most : 20);
    ptrdiff_t n = near[draw_below(d, sizeof near / sizeof *near)];
    while (n > most)
        n = n / 2 + n % 2;
    return n;
}

/* A parameter: what callers pass, or anything that a double can be. */
static inline double draw_double(fn_draw *d)
{
    static const double some[] = {0,       -0.0,    1,       -1,      0.5,     1e-5,     1e-12,     3,
                                  1e30,    -1e30,   1e-40,   1e300,   1e-300,  5e-324,   DBL_MAX,   -DBL_MAX,
                                  DBL_MIN, FLT_MAX, FLT_MIN, 0x1p103, 0x1p970, INFINITY, -INFINITY, NAN};
    const ptrdiff_t how = draw_below(d, 4);
    if (how == 0)
        return some[draw_below(d, sizeof some / sizeof *some)];
    uint64_t bits = draw_bits(d, 8);
    double value;
    if (how > 1)
        return (double)(int64_t)bits * 0x1p-62;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double draw_finite(fn_draw *d)
{
    const double value = draw_double(d);
    return isfinite(value) ? value : 1;
}

/* What data is like: values of one kind, and of another one in some places of every period, which may be the columns.
 */
enum { FILL_NORMAL, FILL_BITS, FILL_SPECIAL, FILL_CONSTANT, FILL_ZERO, FILL_KINDS };

typedef struct {
    int type, kind, other;
    uint64_t seed;
    double scale, offset;
    ptrdiff_t period, part;
} fn_filling;

static inline fn_filling draw_filling(fn_draw *d, int type, ptrdiff_t period)
{
    static const double offsets[] = {0, 0, 1, -3, 1e3, 1e6};
    static const int lowest[] = {-160, -1080, -26, -140, 0}, highest[] = {128, 1024, 16, 128, 8};
    fn_filling f = {.type = type, .scale = 1};
    f.kind = draw_one_in(d, 2) ? FILL_NORMAL : (int)draw_below(d, FILL_KINDS);
    f.other = draw_one_in(d, 2) ? f.kind : (int)draw_below(d, FILL_KINDS);
    f.seed = draw_bits(d, 4);
    if (draw_one_in(d, 2))
        f.scale = ldexp(1, lowest[type] + (int)draw_below(d, highest[type] - lowest[type] + 1));
    f.offset = offsets[draw_below(d, 6)] * f.scale;
    f.period = draw_one_in(d, 2) ? period : 1 + draw_below(d, 100);
    f.part = draw_below(d, f.period);
    return f;
}

/* Value i of them, in the bytes of its type. */
static inline void draw_value(const fn_filling *f, ptrdiff_t i, char *to)
{
    static const double special[] = {0,       -0.0,     INFINITY, -INFINITY, NAN,     1,     -1,     65504,
                                     FLT_MAX, -FLT_MAX, DBL_MAX,  -DBL_MAX,  FLT_MIN, 1e-45, 5e-324, DBL_MIN};
    uint64_t state = f->seed + (uint64_t)i * 0x9e3779b97f4a7c15, bits = draw_next(&state);
    const int kind = i % f->period < f->part ? f->other : f->kind;
    double value = (double)(int64_t)bits * 0x1p-63 * f->scale + f->offset;
    if (kind == FILL_SPECIAL)
        value = special[bits % 16];
    else if (kind == FILL_CONSTANT)
        value = f->offset + f->scale;
    else if (kind == FILL_ZERO)
        value = bits & 1 ? 0 : -0.0;
    if (f->type == FN_U8) {
        *to = (char)bits;
    } else if (kind == FILL_BITS) {
        memcpy(to, &bits, f->type == FN_F64 ? 8 : f->type == FN_F32 ? 4 : 2);
    } else if (f->type == FN_F64) {
        memcpy(to, &value, 8);
    } else if (f->type == FN_F32) {
        memcpy(to, &(fn_f32){(fn_f32)value}, 4);
    } else {
        const uint16_t half = f->type == FN_F16 ? f16_from_f64(value) : (uint16_t)bf16_from_f64(value);
        memcpy(to, &half, 2);
    }
}

#endif
