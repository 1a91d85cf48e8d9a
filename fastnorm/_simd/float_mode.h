/* The floating-point mode that the kernels are written for: round to nearest, subnormals kept, no traps.
 *
 * A library that was linked with -ffast-math sets flush-to-zero for the whole thread that loads it, and a program may
 * set a rounding mode: the bits of our results must depend on neither.
 */
#ifndef FASTNORM_FLOAT_MODE_H
#define FASTNORM_FLOAT_MODE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__SSE__)
#include <xmmintrin.h>
static inline uint64_t fn_float_mode_get(void) { return _mm_getcsr(); }
static inline void fn_float_mode_set(uint64_t mode) { _mm_setcsr((unsigned)mode); }
#define FN_FLOAT_MODE_DEFAULT 0x1f80
#elif defined(__aarch64__)
static inline uint64_t fn_float_mode_get(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void fn_float_mode_set(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#define FN_FLOAT_MODE_DEFAULT 0
#else
static inline uint64_t fn_float_mode_get(void) { return 0; }
static inline void fn_float_mode_set(uint64_t mode) { (void)mode; }
#define FN_FLOAT_MODE_DEFAULT 0
#endif

/* Returns what fn_float_mode_leave must be given. */
static inline uint64_t fn_float_mode_enter(void)
{
    uint64_t mode = fn_float_mode_get();
    fn_float_mode_set(FN_FLOAT_MODE_DEFAULT);
    return mode;
}

/* Also puts back the caller's exception flags: a kernel's overflow is no warning of NumPy's. */
static inline void fn_float_mode_leave(uint64_t mode) { fn_float_mode_set(mode); }

/* 1 / n for what is prepared outside of a task. Volatile, or the compiler may divide before it changes the mode. */
static inline double fn_inverse(ptrdiff_t n)
{
    uint64_t mode = fn_float_mode_enter();
    volatile double divisor = (double)n, inverse = 1.0 / divisor;
    fn_float_mode_leave(mode);
    return inverse;
}

#endif
