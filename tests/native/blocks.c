#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "blocks.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* AddressSanitizer's, where the program is linked with it. */
__attribute__((weak)) void __asan_poison_memory_region(void const volatile *at, size_t bytes);
__attribute__((weak)) void __asan_unpoison_memory_region(void const volatile *at, size_t bytes);

static void poison(const char *at, ptrdiff_t bytes)
{
    if (__asan_poison_memory_region)
        __asan_poison_memory_region(at, (size_t)bytes);
}

static void unpoison(const char *at, ptrdiff_t bytes)
{
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region(at, (size_t)bytes);
}

static char *memory; /* slots, with an unmapped page before, between and after them */
static ptrdiff_t page;
/* Of each slot: values, which bytes are an element's, memory before a run, and after the first one. */
static char values[FN_SLOTS][FN_SLOT_BYTES], is_element[FN_SLOTS][FN_SLOT_BYTES];
static char before[FN_SLOTS][FN_SLOT_BYTES], first[FN_SLOTS][FN_SLOT_BYTES];

static char *slot_start(int slot)
{
    if (!memory) {
        page = sysconf(_SC_PAGESIZE);
        const size_t bytes = (size_t)(FN_SLOTS * (FN_SLOT_BYTES + page) + page);
        memory = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            abort();
        for (int i = 0; i < FN_SLOTS; i++) {
            char *start = memory + page + i * (FN_SLOT_BYTES + page);
            if (mprotect(start, FN_SLOT_BYTES, PROT_READ | PROT_WRITE) != 0)
                abort();
            poison(start, FN_SLOT_BYTES);
        }
    }
    return memory + page + slot * (FN_SLOT_BYTES + page);
}

fn_block block_of(int slot, int type)
{
    fn_block b = {.slot = slot, .type = type, .size = fn_size(type)};
    b.bytes = b.size;
    for (int word = 0; word < FN_WORDS; word++)
        b.length[word] = 1;
    return b;
}

void block_add(fn_block *b, fn_draw *d, int word, ptrdiff_t length, int how, ptrdiff_t unit)
{
    b->length[word] = length;
    if (length == 1)
        return;
    const ptrdiff_t choice = how == STEP_DENSE ? 7 : draw_below(d, 8);
    ptrdiff_t step = b->bytes;
    if (choice == 0 && how == STEP_SHARED) {
        step = draw_below(d, b->bytes / unit) * unit;
        b->overlaps = 1;
    } else if (choice < 3) {
        step += (1 + draw_below(d, 20)) * unit;
    }
    b->bytes += step * (length - 1);
    b->step[word] = step;
    if (how != STEP_DENSE && draw_one_in(d, 4)) {
        b->step[word] = -step;
        b->low -= step * (length - 1);
    }
}

/* The elements one after the other: how far each is from the first, or 0 after the last one. */
typedef struct {
    const fn_block *b;
    ptrdiff_t at[FN_WORDS], offset;
} fn_walk;

static int walk_on(fn_walk *walk)
{
    for (int word = FN_WORDS - 1; word >= 0; word--) {
        walk->offset += walk->b->step[word];
        if (++walk->at[word] < walk->b->length[word])
            return 1;
        walk->offset -= walk->b->length[word] * walk->b->step[word];
        walk->at[word] = 0;
    }
    return 0;
}

static void swap(char *element, ptrdiff_t size)
{
    for (ptrdiff_t low = 0, high = size - 1; low < high; low++, high--) {
        const char byte = element[low];
        element[low] = element[high];
        element[high] = byte;
    }
}

int block_fill(fn_block *b, const fn_filling *filling)
{
    if (b->bytes > FN_SLOT_BYTES)
        return 0;
    b->is_new = filling == NULL;
    memset(is_element[b->slot], 0, (size_t)b->bytes);
    fn_walk walk = {.b = b};
    ptrdiff_t i = 0;
    do {
        const ptrdiff_t at = walk.offset - b->low;
        if (filling)
            draw_value(filling, i++, values[b->slot] + at);
        if (filling && b->swapped)
            swap(values[b->slot] + at, b->size);
        memset(is_element[b->slot] + at, 1, (size_t)b->size);
    } while (walk_on(&walk));
    b->has_gaps = memchr(is_element[b->slot], 0, (size_t)b->bytes) != NULL;
    return 1;
}

void block_set(fn_block *b, double value)
{
    const fn_f32 narrow = (fn_f32)value;
    memset(is_element[b->slot], 1, (size_t)b->size);
    memcpy(values[b->slot], b->type == FN_F64 ? (void *)&value : (void *)&narrow, (size_t)b->size);
}

void block_place(fn_block *b, fn_draw *d, int run)
{
    const ptrdiff_t room = FN_SLOT_BYTES - b->bytes, place = draw_below(d, 3);
    const ptrdiff_t middle = (1 + draw_below(d, 64)) * b->size;
    char *start = slot_start(b->slot), *saved = before[b->slot];
    start += place == 0 ? 0 : place == 1 || middle > room ? room : middle;
    unpoison(start, b->bytes);
    if (b->is_new)
        memset(saved, run, (size_t)b->bytes);
    else
        memcpy(saved, values[b->slot], (size_t)b->bytes);
    for (ptrdiff_t i = 0, garbage = b->is_output ? 1 : run; i < b->bytes && b->has_gaps; i++)
        if (!is_element[b->slot][i])
            saved[i] = (char)(garbage = garbage * 5 % 251 + 1);
    memcpy(start, saved, (size_t)b->bytes);
    b->data = start - b->low;
}

static int is_nan(const fn_block *b, const char *element)
{
    char bytes[8] = {0};
    fn_f32 f32;
    fn_f64 f64;
    uint16_t half;
    memcpy(bytes, element, (size_t)b->size);
    if (b->swapped)
        swap(bytes, b->size);
    memcpy(&f32, bytes, 4);
    memcpy(&f64, bytes, 8);
    memcpy(&half, bytes, 2);
    switch (b->type) {
    case FN_F32: return isnan(f32);
    case FN_F64: return isnan(f64);
    case FN_F16: return (half & 0x7fff) > 0x7c00;
    case FN_BF16: return (half & 0x7fff) > 0x7f80;
    default: return 0;
    }
}

static const char *judge(const fn_block *b, int is_first)
{
    const char *start = b->data + b->low, *saved = before[b->slot];
    if (!b->is_output)
        return memcmp(start, saved, (size_t)b->bytes) ? "an input has changed" : NULL;
    for (ptrdiff_t i = 0; i < b->bytes && b->has_gaps; i++)
        if (!is_element[b->slot][i] && start[i] != saved[i])
            return "something was written between the elements of a result";
    if (is_first)
        memcpy(first[b->slot], start, (size_t)b->bytes);
    else if (!b->overlaps && memcmp(start, first[b->slot], (size_t)b->bytes) != 0) {
        fn_walk walk = {.b = b};
        do {
            const char *ours = b->data + walk.offset, *theirs = first[b->slot] + (walk.offset - b->low);
            if (memcmp(ours, theirs, (size_t)b->size) != 0 && !(is_nan(b, ours) && is_nan(b, theirs)))
                return "other bits than those of the first run";
        } while (walk_on(&walk));
    }
    return NULL;
}

const char *block_judge(fn_block *b, int is_first)
{
    const char *wrong = judge(b, is_first);
    poison(b->data + b->low, b->bytes);
    return wrong;
}
