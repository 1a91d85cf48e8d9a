/* The NEON tier: built for AArch64, every one of which has it. */
#include "vec_neon.h"

#include "kernels.h"
