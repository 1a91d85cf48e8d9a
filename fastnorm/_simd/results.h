/* The kernels that write type Y in arithmetic type C, from C itself and from every X that goes with them; of bytes,
 * which only images hold, no more than their maps. Ends the life of Y, for the next one. */
#include "cut_off.h"

#define X C
#include "map.h"
#include "apply.h"
#include "rows.h"
#include "column_apply.h"
#undef X

#ifndef FN_FROM_F64_ONLY
#define X u8
#include "map.h"
#include "interleaved.h"
#undef X
#define X f16
#include "map.h"
#include "apply.h"
#include "rows.h"
#include "column_apply.h"
#undef X
#define X bf16
#include "map.h"
#include "apply.h"
#include "rows.h"
#include "column_apply.h"
#undef X
#endif

#ifdef FN_FROM_F32
#define X f32
#include "map.h"
#include "apply.h"
#include "rows.h"
#include "column_apply.h"
#undef X
#endif
#undef Y
