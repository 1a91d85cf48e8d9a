/* Any problem that Python can hand to the kernels, from a fuzzer's bytes, on every tier that this machine runs.
 *
 * Tiers and the ways that a problem is shared out must give the same bits, and none may touch a byte that is not the
 * problem's. The scalar tier is built with -mfma here: its multiply-adds round once, as those of the others.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "dispatch.h"
#include "float_mode.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *describe(const fn_block *b, char *text, size_t room)
{
    snprintf(text, room, "slot %d: type %d%s%s, lengths %td %td %td %td %td, steps %td %td %td %td %td", b->slot,
             b->type, b->is_output ? ", output" : "", b->swapped ? ", swapped" : "", b->length[0], b->length[1],
             b->length[2], b->length[3], b->length[4], b->step[0], b->step[1], b->step[2], b->step[3], b->step[4]);
    return text;
}

void fuzz_compare(fn_draw *d, fn_block *blocks, int n, fn_solve solve, void *context, int ways, const char *label)
{
    static fn_tier tiers[FN_TIERS];
    int runs = 0;
    if (!tiers[0].kernels)
        fn_describe_tiers(tiers);
    for (int tier = FN_TIERS - 1; tier >= 0; tier--) {
        if (!tiers[tier].kernels || !tiers[tier].runs || !tiers[tier].kernels->fma)
            continue;
        /* All ways on the first one, any on the others. */
        const int some = (int)draw_below(d, ways), from = runs ? some : 0, to = runs ? some + 1 : ways;
        for (int way = from; way < to; way++) {
            for (int i = 0; i < n; i++)
                block_place(&blocks[i], d, runs);
            solve(tiers[tier].kernels, context, way);
            for (int i = 0; i < n; i++) {
                const char *wrong = block_judge(&blocks[i], runs == 0);
                if (wrong) {
                    char text[500];
                    fprintf(stderr, "%s, %s tier, way %d: %s in %s\n", label, tiers[tier].name, way, wrong,
                            describe(&blocks[i], text, sizeof text));
                    for (int other = 0; other < n; other++)
                        fprintf(stderr, "  %s\n", describe(&blocks[other], text, sizeof text));
                    abort();
                }
            }
            runs++;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    fn_draw d = draw_start(bytes, n);
    const uint64_t mode = fn_float_mode_enter();
    switch (draw_below(&d, 17)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: fuzz_rows(&d); break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: fuzz_columns(&d); break;
    case 10:
    case 11: fuzz_image(&d); break;
    case 12: fuzz_window(&d); break;
    case 13: fuzz_dropout(&d); break;
    case 14: fuzz_activate(&d); break;
    case 15: fuzz_power_roots(&d); break;
    default: fuzz_running(&d);
    }
    fn_float_mode_leave(mode);
    return 0;
}
