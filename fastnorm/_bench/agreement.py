"""How far a result may be from the reference, and the check that it is not farther.

The tolerance is derived from the arithmetic, not tuned: with u_store the unit roundoff of the
result's dtype, u that of the arithmetic, n the length of a statistic and t the normalised values
before weight and bias,

    allowed = u_store |ref| + K u (|weight| max|t| + |bias|) + (smallest subnormal of the result)

    K = 4 + (min(n, 1024) / 32 + 5) / 2

The first term is the one rounding at the store. In the second, a sum in 32 lanes within blocks of
1024 rounds at most min(n, 1024) / 32 + 5 times (5 levels join the lanes), halved because the
square root halves the relative error of a variance, and 4 is for the roundings of the apply.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnorm import reference
from fastnorm._bench.cases import Array, Case, Inputs, align

UNIT_ROUNDOFF = {
    "bfloat16": 2.0**-8,
    "float16": 2.0**-11,
    "float32": 2.0**-24,
    "float64": 2.0**-53,
}
SMALLEST_SUBNORMAL = {
    "bfloat16": 2.0**-133,
    "float16": 2.0**-24,
    "float32": 2.0**-149,
    "float64": 2.0**-1074,
}

# Elements compared at a time: float64 temporaries of a whole large case would need gigabytes.
SLAB = 1 << 20


def error(
    y: Array,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    reference_function: Callable[..., Any],
    axis: int | tuple[int, ...] = -1,
    **options: Any,
) -> float:
    """Worst error of a result, in units of the tolerance.

    Parameters
    ----------
    y : ndarray
        The result to judge.
    x, weight, bias : ndarray
        What it was computed from.
    reference_function : callable
        The function of `fastnorm.reference` it should agree with.
    axis : int or tuple of int, optional
        Axes that share a statistic, along which the parameters vary.
    **options
        Further arguments of the reference, such as ``eps``.

    Returns
    -------
    float
        Largest |y - ref| / allowed. At most 1 passes. Infinity if the shapes differ, or if NaN
        and infinities are not where the reference has them.
    """
    if y.shape != x.shape:
        return math.inf
    axes = tuple(sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)))
    parameters = {"weight": weight, "bias": bias}
    given = {name: p for name, p in parameters.items() if p is not None}
    options = {"axis": axis, **options, "dtype": np.float64}
    n = math.prod(x.shape[a] for a in axes)
    k = 4 + (min(n, 1024) / 32 + 5) / 2
    wide = "float64" in (x.dtype.name, y.dtype.name)
    arithmetic = UNIT_ROUNDOFF["float64" if wide else "float32"]

    with np.errstate(all="ignore"):  # NaN and infinities are compared below, not warned about
        # fmax: NaN belongs to its own elements and must not void the tolerance of the others.
        scale = np.fmax.reduce(np.abs(reference_function(x, **options)), axis=axes, keepdims=True, initial=0.0)
        if weight is not None:
            scale = scale * np.abs(align(weight, axes, x.ndim).astype(np.float64))
        if bias is not None:
            scale = scale + np.abs(align(bias, axes, x.ndim).astype(np.float64))
        ref = reference_function(x, **given, **options)
        stored = ref.astype(y.dtype).astype(np.float64)
        got = y.astype(np.float64)
        special = ~(np.isfinite(stored) & np.isfinite(got))
        same = (got == stored) | (np.isnan(got) & np.isnan(stored))
        if not np.all(same[special]):
            return math.inf
        allowed = UNIT_ROUNDOFF[y.dtype.name] * np.abs(ref) + k * arithmetic * scale
        allowed += SMALLEST_SUBNORMAL[y.dtype.name]
        ratio = np.abs(got - ref) / allowed
    return float(np.max(ratio, where=~special, initial=0.0))


def slabs(case: Case) -> Iterator[tuple[slice, ...]]:
    """Indices that cut a case into about `SLAB` elements each, never across a statistic."""
    free = [a for a in range(len(case.shape)) if a not in case.axes]
    if not free:
        yield ()
        return
    length = case.shape[free[0]]
    step = max(1, SLAB * length // math.prod(case.shape))
    for start in range(0, length, step):
        yield (slice(None),) * free[0] + (slice(start, start + step),)


def case_error(case: Case, inputs: Inputs, y: Array) -> float:
    """`error` of a result of a case."""
    if y.shape != case.shape or y.dtype != inputs.x.dtype:
        return math.inf
    function = getattr(reference, case.function)
    arguments = {**inputs.parameters, **case.options, "axis": case.axes}
    return max(error(y[slab], inputs.x[slab], reference_function=function, **arguments) for slab in slabs(case))


def check(case: Case) -> float:
    """`error` of fastnorm itself on a case."""
    inputs = case.make_inputs()
    return case_error(case, inputs, case.call(inputs)())


def agrees(case: Case, inputs: Inputs, y: Array) -> bool:
    """Whether a peer computes the same function: half of the dtype's digits on one slab.

    Loose on purpose. Peers differ in accuracy, and that is theirs to answer for; a peer timed on
    another axis, eps or parameter would make its times meaningless.
    """
    if y.shape != case.shape:
        return False
    slab = next(slabs(case))
    ref = getattr(reference, case.function)(inputs.x[slab], **inputs.parameters, **case.options, dtype=np.float64)
    tolerance = math.sqrt(UNIT_ROUNDOFF[case.dtype]) * np.max(np.abs(ref))
    return bool(np.max(np.abs(y[slab].astype(np.float64) - ref)) <= tolerance)
