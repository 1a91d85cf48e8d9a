/* Whether the system has provided an array's memory yet.
 *
 * Asked of the system, because nobody else knows: allocators hand memory out again that was written before, and a
 * caller's own `out` may be as new as a result of ours. Where it cannot be asked, memory counts as new.
 */
#ifndef FASTNORM_PAGES_H
#define FASTNORM_PAGES_H

#if defined(__linux__) || defined(__APPLE__)
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int fn_has_page(const char *address)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char state = 0;
    return mincore((void *)((uintptr_t)address / page * page), 1, (void *)&state) == 0 && (state & 1);
}
#else
static inline int fn_has_page(const char *address)
{
    (void)address;
    return 0;
}
#endif

#endif
