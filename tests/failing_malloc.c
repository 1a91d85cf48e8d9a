/* Allocation that fails when it is told to, for callers in one library alone; test_allocation_failure preloads it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void *__libc_malloc(size_t size); /* glibc's own, which those below stand before */
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static const char *watched; /* part of the library's path; NULL: nobody fails */
static size_t least;
static long failing;
static atomic_long seen, held;

/* From now on the allocation of this number, of those that are of so many bytes at least, fails; none if it is < 0. */
void watch(const char *library, size_t size, long number)
{
    watched = NULL;
    least = size;
    failing = number;
    atomic_store(&seen, 0);
    atomic_store(&held, 0);
    watched = library;
}

long count_seen(void) { return atomic_load(&seen); }

/* Allocations less frees, by the watched library. */
long count_held(void) { return atomic_load(&held); }

static int is_watched(const void *caller)
{
    Dl_info info;
    return watched && dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, watched);
}

static int fails(size_t size, const void *caller)
{
    if (!watched || size < least || !is_watched(caller))
        return 0;
    if (atomic_fetch_add(&seen, 1) == failing)
        return 1;
    atomic_fetch_add(&held, 1);
    return 0;
}

void *malloc(size_t size) { return fails(size, __builtin_return_address(0)) ? NULL : __libc_malloc(size); }

void *calloc(size_t n, size_t size)
{
    return fails(n * size, __builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(size, __builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

void free(void *memory)
{
    if (memory && watched && is_watched(__builtin_return_address(0)))
        atomic_fetch_sub(&held, 1);
    __libc_free(memory);
}
