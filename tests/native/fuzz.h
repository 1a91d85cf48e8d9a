/* A run of one problem on every tier, which must all give the same bits. */
#ifndef FASTNORM_FUZZ_H
#define FASTNORM_FUZZ_H

#include "blocks.h"

/* Solve the problem in `context`, whose blocks have been laid out, one of several ways to the same bits. */
typedef void (*fn_solve)(const fn_kernels *kernels, void *context, int way);

/* The first `n` blocks hold the problem's arrays; `label` says what it is in a message. Ends the program where a tier
 * or a way differs, or one writes where it may not. */
void fuzz_compare(fn_draw *d, fn_block *blocks, int n, fn_solve solve, void *context, int ways, const char *label);

void fuzz_rows(fn_draw *d);
void fuzz_columns(fn_draw *d);
void fuzz_window(fn_draw *d);
void fuzz_image(fn_draw *d);
void fuzz_dropout(fn_draw *d);
void fuzz_activate(fn_draw *d);
void fuzz_power_roots(fn_draw *d);
void fuzz_running(fn_draw *d);

/* Elements of a problem: few, so that millions can be tried; sometimes more than a tile, or than a chunk. Not from the
 * bytes: a fuzzer would keep those that make large ones. */
static inline ptrdiff_t fuzz_room(fn_draw *d)
{
    const uint64_t how = draw_next(&d->state) % 128;
    return how == 0 ? 150000 : how < 32 ? 2000 : 300;
}

#endif
