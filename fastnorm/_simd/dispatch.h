/* Which tiers this build holds, and which of them this machine can run. */
#ifndef FASTNORM_DISPATCH_H
#define FASTNORM_DISPATCH_H

#include "problem.h"

typedef struct {
    const char *name, *needs;  /* what the machine must have, for messages */
    const fn_kernels *kernels; /* NULL: not in this build */
    int runs;                  /* the processor has the instructions and the operating system saves the registers */
} fn_tier;

enum { FN_TIERS = 4 };

/* All tiers that fastnorm knows, the slowest first. */
void fn_describe_tiers(fn_tier tiers[FN_TIERS]);

/* Size of the last-level cache in bytes, or 0 where the processor does not tell. */
ptrdiff_t fn_last_level_cache(void);

/* Whether this is a virtual machine, whose caches others may use as well. */
int fn_has_hypervisor(void);

const char *fn_compiler(void);

#endif
