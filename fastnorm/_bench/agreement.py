"""How far a result may be from the reference, and the check that it is not farther.

The tolerance is derived from the arithmetic, not tuned: with u_store the unit roundoff of the
result's dtype, u that of the arithmetic, n the length of a statistic and t the normalised values
before weight and bias,

    allowed = u_store |ref| + K u (|weight| max|t| + |bias|) + (smallest subnormal of the result)

    K = 4 + (min(n, 1024) / 32 + 5) / 2

The first term is the one rounding at the store. In the second, a sum in 32 lanes within blocks of
1024 rounds at most min(n, 1024) / 32 + 5 times (5 levels join the lanes), halved because the
square root halves the relative error of a variance, and 4 is for the roundings of the apply.
Moments have neither root nor apply: t is 1 and the result itself the weight, with twice that K.
Dropout has one product, K = 2: fastnorm's mask is compared with the reference's. Peers draw masks of
their own, so they are compared in the share and in the values of what they keep.
Local response norm rounds beta (size + 3) + 5 times, in proportion to the result: squares and sums to
the power beta, then roots and a division. A cell's products add a rounding for each of their terms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnorm import reference
from fastnorm._bench.cases import SEED, Array, Case, Inputs, align, mean_and_variance

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

# Elements compared at a time, where statistics are not longer: float64 temporaries of a whole large case would need
# gigabytes, and these stay in a cache.
SLAB = 1 << 17

# Of a larger case, slabs are left out evenly until about so many elements are compared: the tests see all sizes, and a
# benchmark should not take longer to check than to time.
CHECKED = 1 << 22


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
    wide = "float64" in (x.dtype.name, y.dtype.name)

    with np.errstate(all="ignore"):  # NaN and infinities are compared, not warned about
        # fmax: NaN belongs to its own elements and must not void the tolerance of the others.
        scale = np.fmax.reduce(np.abs(reference_function(x, **options)), axis=axes, keepdims=True, initial=0.0)
        if weight is not None:
            scale = scale * np.abs(align(weight, axes, x.ndim).astype(np.float64))
        if bias is not None:
            scale = scale + np.abs(align(bias, axes, x.ndim).astype(np.float64))
        ref = reference_function(x, **given, **options)
        return distance(y, ref, tolerance(ref, scale, roundings(n), y.dtype.name, wide=wide))


def roundings(n: int) -> float:
    """The K of a statistic of n elements."""
    return 4 + (min(n, 1024) / 32 + 5) / 2


def tolerance(ref: Array, scale: Array, k: float, dtype: str, *, wide: bool) -> Array:
    """How far a result of `dtype` may be from `ref`.

    Parameters
    ----------
    ref : ndarray
        The reference, float64.
    scale : ndarray
        |weight| max|t| + |bias|, broadcasting against `ref`.
    k : float
        How many roundings, as of `roundings`.
    dtype : str
        Name of the result's dtype.
    wide : bool
        Whether the arithmetic is float64.
    """
    arithmetic = UNIT_ROUNDOFF["float64" if wide else "float32"]
    allowed: Array = UNIT_ROUNDOFF[dtype] * np.abs(ref) + k * arithmetic * scale + SMALLEST_SUBNORMAL[dtype]
    return allowed


def distance(y: Array, ref: Array, allowed: Array) -> float:
    """Largest |y - ref| / allowed; infinity unless shapes agree, and NaN and infinities are at the same places."""
    if y.shape != ref.shape:
        return math.inf
    with np.errstate(all="ignore"):
        stored = ref.astype(y.dtype).astype(np.float64)
        got = y.astype(np.float64)
        special = ~(np.isfinite(stored) & np.isfinite(got))
        same = (got == stored) | (np.isnan(got) & np.isnan(stored))
        if not np.all(same[special]):
            return math.inf
        ratio = np.abs(got - ref) / allowed
    return float(np.max(ratio, where=~special, initial=0.0))


def slabs(case: Case) -> Iterator[tuple[slice, ...]]:
    """Indices that cut a case into about `SLAB` elements each, never across a statistic."""
    size = math.prod(case.shape)
    steps = list(case.shape)
    for axis, length in enumerate(case.shape):
        if axis not in case.axes:
            steps[axis] = min(length, max(1, SLAB * length // size))
            size = size * steps[axis] // length
    for starts in itertools.product(*map(range, itertools.repeat(0), case.shape, steps)):
        yield tuple(slice(start, start + step) for start, step in zip(starts, steps, strict=True))


def cut(case: Case, inputs: Inputs, slab: tuple[slice, ...]) -> Inputs:
    """Views of what a slab of the result is computed from."""
    parameters = {
        name: p[tuple(slice(None) if a is None else slab[a] for a in case.parameter_axes(name))]
        for name, p in inputs.parameters.items()
    }
    return Inputs(inputs.x[slab], parameters, None)


def case_error(case: Case, inputs: Inputs, y: Array) -> float:
    """`error` of a result of a case."""
    if y.shape != case.result_shape or y.dtype != case.result_dtype:
        return math.inf
    if case.function == "dropout":
        return _dropout_error(case, inputs, y)
    worst = 0.0
    y = case.like_input(y)
    for slab in itertools.islice(slabs(case), 0, None, max(1, math.prod(case.shape) // CHECKED)):
        part = cut(case, inputs, slab)
        ref = _expected(case, part)
        wide = "float64" in (part.x.dtype.name, y.dtype.name)
        allowed = tolerance(ref, _rounded(case, part, ref), 1, y.dtype.name, wide=wide)
        worst = max(worst, distance(y[slab], ref, allowed))
    return worst


def _dropout_error(case: Case, inputs: Inputs, y: Array) -> float:
    """`error` of the first result that a generator of `SEED` gives; its mask is that of the whole array."""
    whole = reference.dropout(inputs.x.astype(np.float64), **case.options, rng=SEED)
    worst = 0.0
    for slab in slabs(case):
        ref = whole[slab]
        wide = "float64" in (inputs.x.dtype.name, y.dtype.name)
        worst = max(worst, distance(y[slab], ref, tolerance(ref, np.abs(ref), 2, y.dtype.name, wide=wide)))
    return worst


def check(case: Case) -> float:
    """`error` of fastnorm itself on a case."""
    inputs = case.make_inputs()
    return case_error(case, inputs, case.as_array(case.call(inputs)()))


def agrees(case: Case, inputs: Inputs, y: Array) -> bool:
    """Whether a peer computes the same function: half of the dtype's digits on one slab.

    Loose on purpose. Peers differ in accuracy, and that is theirs to answer for; a peer timed on
    another axis, eps or parameter would make its times meaningless.
    """
    if y.shape != case.result_shape:
        return False
    slab = next(slabs(case))
    if case.function == "dropout":
        p, x = case.options["p"], inputs.x[slab].astype(np.float64)
        kept = y[slab] != 0
        if abs(np.mean(kept) - (1 - p)) > 6 * math.sqrt(p * (1 - p) / kept.size):
            return False
        ref = np.where(kept, x / (1 - p), 0.0)
    else:
        ref = _expected(case, cut(case, inputs, slab))
    tolerance = math.sqrt(UNIT_ROUNDOFF[case.float_dtype]) * np.max(np.abs(ref))
    return bool(np.max(np.abs(case.like_input(y)[slab].astype(np.float64) - ref)) <= tolerance)


def _expected(case: Case, inputs: Inputs) -> Array:
    """The reference's result before it is rounded."""
    function = getattr(reference, case.function)
    if case.function == "moments":
        mean, variance = mean_and_variance(function(inputs.x, **case.options))
        shape = tuple(1 if a in case.axes else n for a, n in enumerate(inputs.x.shape))
        return np.stack([mean, variance], axis=-1).reshape(*shape, 2)
    # In training the reference would update running statistics, which its result does not depend on.
    hidden = ("running_mean", "running_var") if case.settings.get("training") else ()
    parameters = {name: p for name, p in inputs.parameters.items() if name not in hidden}
    if case.function == "normalize_image":  # of bytes, which have a scale of their own
        options = {**case.options, "layout": "HWC->HWC"}
        image: Array = function(inputs.x, **parameters, **options, dtype=np.float64)
        return image
    y: Array = function(inputs.x.astype(np.float64), **parameters, **case.options)
    return y


def _rounded(case: Case, inputs: Inputs, ref: Array) -> Array:
    """K (|weight| max|t| + |bias|), with t worked out from the result: the parameters of a case are never 0."""
    if case.function == "local_response_norm":
        relative: Array = (case.settings["beta"] * (case.settings["size"] + 3) + 5) * np.abs(ref)
        return relative
    k = roundings(math.prod(inputs.x.shape[axis] for axis in case.axes))
    if case.function == "moments":
        return 2 * k * np.abs(ref)
    if case.function == "normalize_image":  # relative to each element: what the mean lost is added back
        return k * np.abs(ref)
    weight, bias = _affine(case, inputs)
    if case.function == "layer_norm_rnn_cell":  # the activation hides t
        names = ("h", "weight_ih", "weight_hh")
        x, h, w_ih, w_hh = (one.astype(np.float64) for one in (inputs.x, *(inputs.parameters[name] for name in names)))
        products = (x.shape[-1] + h.shape[-1]) * (np.abs(h) @ np.abs(w_hh).T + np.abs(x) @ np.abs(w_ih).T)
        t = products / np.std(h @ w_hh.T + x @ w_ih.T, axis=-1, keepdims=True) + k * math.sqrt(x.shape[-1])
    else:
        t = k * (ref - bias) / weight
    scale: Array = np.abs(weight) * np.max(np.abs(t), axis=case.axes, keepdims=True) + k * np.abs(bias)
    return scale


def _affine(case: Case, inputs: Inputs) -> tuple[Array, Array]:
    """Weight and bias in float64, to broadcast against x."""
    ndim, parameters = inputs.x.ndim, inputs.parameters
    if "style" in parameters:
        style = parameters["style"].astype(np.float64)
        variance = style.var(case.axes, keepdims=True)
        return np.sqrt(variance + case.settings["eps"]), style.mean(case.axes, keepdims=True)
    if "labels" in parameters:
        weight, bias = (
            align(parameters[name][parameters["labels"]], (0, case.channel_axis), ndim) for name in ("weight", "bias")
        )
    else:
        views = case.align(inputs)
        weight = views.get("weight", views.get("gain", np.ones(())))
        bias = views.get("bias", np.zeros(()))
    return weight.astype(np.float64), bias.astype(np.float64)
