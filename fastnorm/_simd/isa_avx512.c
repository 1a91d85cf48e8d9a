/* The AVX-512 tier: built with F, BW, DQ and VL, run only where dispatch.c finds all four. */
#include "vec_avx512.h"

#include "kernels.h"
