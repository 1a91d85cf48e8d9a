"""The one choice of instruction set, made at import: the fastest tier that this build holds and this machine runs.

`FASTNORM_ISA` forces a tier. A name that cannot be had is an error here, so that no one measures or tests another
tier than they asked for. The kernels' table is a C pointer that the other modules cimport.
"""
import os

from fastnorm._kernels.problem cimport (
    FN_TIERS,
    fn_compiler,
    fn_describe_tiers,
    fn_has_hypervisor,
    fn_last_level_cache,
    fn_tier,
)

cdef fn_tier tiers[FN_TIERS]
fn_describe_tiers(tiers)


cdef int fastest() noexcept:
    cdef int i, best = 0
    for i in range(FN_TIERS):
        if tiers[i].kernels != NULL and tiers[i].runs:
            best = i
    return best


cdef int forced(str name) except -1:
    cdef int i
    names = [tiers[i].name.decode() for i in range(FN_TIERS)]
    if name not in names:
        raise ValueError(f"FASTNORM_ISA={name!r} is unknown, expected one of {', '.join(names)}")
    i = names.index(name)
    if tiers[i].kernels == NULL:
        raise ValueError(f"FASTNORM_ISA={name!r} is not in this build of fastnorm, which holds {', '.join(built())}")
    if not tiers[i].runs:
        raise ValueError(f"FASTNORM_ISA={name!r} needs {tiers[i].needs.decode()}, which this machine lacks")
    return i


def built() -> list[str]:
    """Names of the tiers in this build, the slowest first."""
    cdef int i
    return [tiers[i].name.decode() for i in range(FN_TIERS) if tiers[i].kernels != NULL]


def supported() -> list[str]:
    """Names of the tiers in this build that this machine runs, the slowest first."""
    cdef int i
    return [tiers[i].name.decode() for i in range(FN_TIERS) if tiers[i].kernels != NULL and tiers[i].runs]


def has_fma() -> bool:
    """Whether the tier in use rounds a multiply-add once, which its bits depend on."""
    return bool(kernels.fma)


cdef str wanted = os.environ.get("FASTNORM_ISA", "")
cdef int chosen = forced(wanted) if wanted else fastest()
kernels = tiers[chosen].kernels

in_use = tiers[chosen].name.decode()
reason = "FASTNORM_ISA" if wanted else "the fastest that this machine runs"
compiler = fn_compiler().decode().strip()  # Clang ends its version with a space
last_level_cache = fn_last_level_cache()
has_hypervisor = fn_has_hypervisor()
