/* cpuid with the operating system's register state, once at import; no kernel asks again.
 *
 * An instruction set counts only when XCR0 says that the operating system saves its registers: a hypervisor or an old
 * kernel may show the processor's flag without that.
 */
#include "dispatch.h"

extern const fn_kernels fn_kernels_scalar;
#ifdef FN_HAVE_NEON
extern const fn_kernels fn_kernels_neon;
#endif
#ifdef FN_HAVE_AVX2
extern const fn_kernels fn_kernels_avx2;
#endif
#ifdef FN_HAVE_AVX512
extern const fn_kernels fn_kernels_avx512;
#endif

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

typedef struct {
    unsigned eax, ebx, ecx, edx;
} fn_registers;

static fn_registers fn_cpuid(unsigned leaf, unsigned subleaf)
{
    fn_registers r = {0, 0, 0, 0};
    if (leaf <= (unsigned)__get_cpuid_max(leaf & 0x80000000u, NULL))
        __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
    return r;
}

static int fn_has_bits(uint64_t value, uint64_t bits) { return (value & bits) == bits; }

static void fn_detect(int *avx2, int *avx512)
{
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };
    enum { AVX2 = 1 << 5 };
    const unsigned avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    fn_registers basic = fn_cpuid(1, 0), extended = fn_cpuid(7, 0);
    *avx2 = *avx512 = 0;
    if (!fn_has_bits(basic.ecx, OSXSAVE))
        return;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    uint64_t xcr0 = (uint64_t)high << 32 | low;
    *avx2 = fn_has_bits(xcr0, 0x6) && fn_has_bits(basic.ecx, FMA | AVX | F16C) && fn_has_bits(extended.ebx, AVX2);
    *avx512 = *avx2 && fn_has_bits(xcr0, 0xe6) && fn_has_bits(extended.ebx, avx512_f_dq_bw_vl);
}

/* Leaf 4 (Intel) and 0x8000001d (AMD) list the caches in the same form. */
ptrdiff_t fn_last_level_cache(void)
{
    ptrdiff_t largest = 0;
    for (unsigned leaf = 4; leaf != 0; leaf = leaf == 4 ? 0x8000001du : 0) {
        for (unsigned index = 0; index < 16; index++) {
            fn_registers r = fn_cpuid(leaf, index);
            if ((r.eax & 0x1f) == 0)
                break;
            ptrdiff_t ways = (r.ebx >> 22) + 1, partitions = (r.ebx >> 12 & 0x3ff) + 1, line = (r.ebx & 0xfff) + 1;
            ptrdiff_t bytes = ways * partitions * line * ((ptrdiff_t)r.ecx + 1);
            if (bytes > largest)
                largest = bytes;
        }
    }
    return largest;
}

int fn_has_hypervisor(void) { return fn_cpuid(1, 0).ecx >> 31; }
#else
static void fn_detect(int *avx2, int *avx512) { *avx2 = *avx512 = 0; }

ptrdiff_t fn_last_level_cache(void) { return 0; }

int fn_has_hypervisor(void) { return 0; }
#endif

void fn_describe_tiers(fn_tier tiers[FN_TIERS])
{
    int avx2, avx512;
    fn_detect(&avx2, &avx512);
    tiers[0] = (fn_tier){"scalar", "nothing", &fn_kernels_scalar, 1};
    tiers[1] = (fn_tier){"neon", "AArch64", NULL, 0};
    tiers[2] = (fn_tier){"avx2", "AVX2, FMA and F16C", NULL, avx2};
    tiers[3] = (fn_tier){"avx512", "AVX-512 F, BW, DQ and VL", NULL, avx512};
#ifdef FN_HAVE_NEON
    tiers[1].kernels = &fn_kernels_neon;
    tiers[1].runs = 1;
#endif
#ifdef FN_HAVE_AVX2
    tiers[2].kernels = &fn_kernels_avx2;
#endif
#ifdef FN_HAVE_AVX512
    tiers[3].kernels = &fn_kernels_avx512;
#endif
}

const char *fn_compiler(void)
{
#if defined(__clang__)
    return "Clang " __clang_version__;
#elif defined(__GNUC__)
    return "GCC " __VERSION__;
#else
    return "unknown";
#endif
}
