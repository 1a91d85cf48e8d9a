/* Arrays in memory that is exactly as large as they are: one byte further is an unmapped page or poisoned.
 *
 * A block is an array of up to five words with a stride each, in bytes. Its values are made once; for each run they are
 * laid out anew, elsewhere, and with other bytes in its gaps. After a run the values of an input are what they were,
 * and the gaps of an output.
 */
#ifndef FASTNORM_BLOCKS_H
#define FASTNORM_BLOCKS_H

#include "draw.h"

enum { FN_SLOTS = 8, FN_SLOT_BYTES = 1 << 22, FN_WORDS = 5 };

typedef struct {
    int slot; /* its memory, below FN_SLOTS */
    int type, swapped;
    int is_output;
    int overlaps; /* elements share memory: no results to compare */
    int has_gaps, is_new;
    ptrdiff_t size;
    ptrdiff_t length[FN_WORDS], step[FN_WORDS];
    ptrdiff_t low, bytes; /* of the lowest byte from the first element, at most 0; from there on */
    char *data;           /* the first element, in this run */
} fn_block;

static inline ptrdiff_t fn_size(int type)
{
    static const ptrdiff_t sizes[] = {4, 8, 2, 2, 1};
    return sizes[type];
}

fn_block block_of(int slot, int type);

/* The next word outwards: right after what lies inside of it, or with a gap of so many units (or 1 + 20), sometimes
 * backwards and, where it may, sometimes with a step so short that elements share memory. */
enum { STEP_DENSE, STEP_ANY, STEP_SHARED };
void block_add(fn_block *b, fn_draw *d, int word, ptrdiff_t length, int how, ptrdiff_t unit);

/* With values, or NULL where a run makes them: whatever is there before must not matter. 0 if there is no room. */
int block_fill(fn_block *b, const fn_filling *filling);

void block_set(fn_block *b, double value); /* of one element, in place of block_fill */

/* Lay out for a run, with bytes in the gaps of an input, and in all of a new result, that its number decides. */
void block_place(fn_block *b, fn_draw *d, int run);

/* What a run may not do, or what it did differently from the first one, or NULL. */
const char *block_judge(fn_block *b, int is_first);

#endif
