/* The AVX2 tier: built with -mavx2 -mfma -mf16c, run only where dispatch.c finds all three. */
#include "vec_avx2.h"

#include "kernels.h"
