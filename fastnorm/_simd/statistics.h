/* What the statistics of input type X need, in arithmetic type C. Ends the life of X, for the next one. */
#include "moments.h"
#include "chunk.h"
#include "column_rescue.h"
#include "columns.h"
#undef X
