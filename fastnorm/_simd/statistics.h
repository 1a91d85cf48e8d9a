/* What needs input type X and arithmetic type C alone: rows of it, and statistics. Ends the life of X, for the next
 * one. */
#include "storage.h"
#include "moments.h"
#include "chunk.h"
#include "column_rescue.h"
#include "columns.h"
#undef X
