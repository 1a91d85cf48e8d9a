/* Every algorithm for every pair of types, on the vocabulary that the including isa_*.c chose, and the tier's table.
 *
 * The templates spell names with these macros: C is the arithmetic type, X and Y the storage types of input and result.
 * All functions are static: two tiers in one library must not share an inline function (the linker would pick one).
 */
#include "elementary.h"
#include "pieces.h"
#include "statistic.h"

#define FN_JOIN2(a, b) a##_##b
#define FN_JOIN3(a, b, c) a##_##b##_##c
#define FN_JOIN4(a, b, c, d) a##_##b##_##c##_##d
#define FN_NAME2(a, b) FN_JOIN2(a, b)
#define FN_NAME3(a, b, c) FN_JOIN3(a, b, c)
#define FN_NAME4(a, b, c, d) FN_JOIN4(a, b, c, d)

#define TYPE(t) FN_NAME2(fn, t)
#define VEC FN_NAME2(C, vec)
#define LANES FN_NAME2(C, lanes)
#define V(operation) FN_NAME2(C, operation)
#define LOAD(t) FN_NAME3(C, load, t)
#define LOAD_PART(t) FN_NAME4(C, load, part, t)
#define STORE(t) FN_NAME3(C, store, t)
#define STORE_PART(t) FN_NAME4(C, store, part, t)
#define STREAM(t) FN_NAME3(C, stream, t)
#define WIDE(operation) FN_NAME3(f64, operation, C) /* of float64 lanes, whatever C is */
#define FROM(to, t) FN_NAME3(to, from, t)
#define IN_C(name) FN_NAME2(name, C)
#define IN_X(name) FN_NAME3(name, X, C)
#define IN_XY(name) FN_NAME4(name, X, Y, C)
#define IN_CY(name) FN_NAME4(name, C, Y, C)
#define IN_CC(name) FN_NAME3(name, C, C)
#define IS_F64(t) (sizeof(TYPE(t)) == sizeof(fn_f64))

#include "powers.h"
#include "running.h"
#include "philox.h"

#define C f32
#include "parameters.h"
#include "extremes.h"
#include "finish_plain.h"
#include "plan.h"
#define X f32
#include "statistics.h"
#define X f16
#include "statistics.h"
#define X bf16
#include "statistics.h"

#define Y f32
#include "results.h"
#define Y f16
#include "results.h"
#define Y bf16
#include "results.h"
#include "dropout.h"
#undef C

#define C f64
#include "parameters.h"
#include "extremes.h"
#include "finish_plain.h"
#include "plan.h"
#define X f64
#include "statistics.h"
#define X f32
#include "statistics.h"
#define X f16
#include "statistics.h"
#define X bf16
#include "statistics.h"

#define Y f64
#define FN_FROM_F32
#include "results.h"
#undef FN_FROM_F32
#define FN_FROM_F64_ONLY
#define Y f32
#include "results.h"
#define Y f16
#include "results.h"
#define Y bf16
#include "results.h"
#include "dropout.h"
#undef C

#define FN_ROW_OF(name, x)                                                                                             \
    {[FN_F32] = FN_PAIR(name, x, f32),                                                                                 \
     [FN_F64] = name##_##x##_f64_f64,                                                                                  \
     [FN_F16] = FN_PAIR(name, x, f16),                                                                                 \
     [FN_BF16] = FN_PAIR(name, x, bf16)}
#define FN_PAIR(name, x, y) name##_##x##_##y##_f32
#define FN_PAIRS(name)                                                                                                 \
    {                                                                                                                  \
        [FN_F32] = FN_ROW_OF(name, f32),                                                                               \
        [FN_F16] = FN_ROW_OF(name, f16),                                                                               \
        [FN_BF16] = FN_ROW_OF(name, bf16),                                                                             \
        [FN_F64] = {name##_f64_f32_f64, name##_f64_f64_f64, name##_f64_f16_f64, name##_f64_bf16_f64},                  \
    }

#include "image.h"

/* [x type][1 where the arithmetic is float64] */
#define FN_SUMS(name)                                                                                                  \
    {                                                                                                                  \
        [FN_F32] = {name##_f32_f32, name##_f32_f64},                                                                   \
        [FN_F64] = {NULL, name##_f64_f64},                                                                             \
        [FN_F16] = {name##_f16_f32, name##_f16_f64},                                                                   \
        [FN_BF16] = {name##_bf16_f32, name##_bf16_f64},                                                                \
    }

static void (*const fn_read[FN_TYPES][2])(const void *from, void *to, ptrdiff_t n) = FN_SUMS(read);
static void (*const fn_write[FN_TYPES][2])(const void *from, void *to, ptrdiff_t n, int stream) = FN_SUMS(write);

#define C f32
#include "window.h"
#include "activate.h"
#undef C
#define C f64
#include "window.h"
#include "activate.h"
#undef C

const fn_kernels FN_NAME2(fn_kernels, FN_ISA) = {
    .fma = FN_FMA,
    .rows = FN_PAIRS(rows),
    .piece_moments = FN_SUMS(piece_moments),
    .piece_survey = {[FN_F32] = piece_survey_f32_f32,
                     [FN_F64] = piece_survey_f64_f64,
                     [FN_F16] = piece_survey_f16_f32,
                     [FN_BF16] = piece_survey_bf16_f32},
    .piece_apply = FN_PAIRS(piece_apply),
    .columns = FN_PAIRS(columns),
    .column_moments = FN_SUMS(column_moments),
    .column_finish = FN_SUMS(column_finish),
    .column_apply = FN_PAIRS(column_apply),
    .power_roots = power_roots,
    .running = running,
    .dropout = {dropout_f32, dropout_f64},
    .window = {window_units_f32, window_units_f64},
    .activate = {activate_f32, activate_f64},
    .image = image_spans,
};
