/* The scalar tier: baseline flags, always built. */
#include "vec_scalar.h"

#include "kernels.h"
