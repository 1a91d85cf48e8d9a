"""Scaling without a mean: to a norm of 1, and to a range.

What each computes, its parameters, the checks and the call. Both are the canonical problem with another sum: a norm is
found in one pass and the data divided by it as a deviation would be; a range is a smallest and a largest value, mapped
to the ends of another.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels import plain
from fastnorm._kernels.rows import power_roots
from fastnorm._kernels.views import EXTREMES, NORM_1, NORM_2, NORM_LARGEST, NORM_POWER, NORM_SMALLEST
from fastnorm._normalize import measure, solve

_Float64 = NDArray[np.float64]

_STATISTIC = {1.0: NORM_1, 2.0: NORM_2, math.inf: NORM_LARGEST, -math.inf: NORM_SMALLEST}


def normalize(
    x: ArrayLike,
    *,
    p: float = 2,
    axis: int | Sequence[int] = 1,
    eps: float = 1e-12,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    r"""Divide by the p-norm over one or more axes.

    .. math:: y = \frac{x}{\max(\lVert x \rVert_p, eps)},
        \quad \lVert x \rVert_p = \left(\sum |x|^p\right)^{1/p}

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any shape and strides. Integers and bools compute in
        float64, and return it unless `out` says otherwise.
    p : float
        Any real number or an infinity. inf is the largest magnitude, -inf the smallest; 0 counts what is not 0. 1, 2
        and the infinities take one pass over the data, others three.
    axis : int or tuple of int
        The axes that share a norm.
    eps : float
        The least divisor, finite and not negative. With 0, a norm of 0 gives NaN.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared in any
        other way is safe too.

    Returns
    -------
    ndarray
        In `x`'s shape, dtype and memory order.

    Raises
    ------
    ValueError
        If `axis` is empty or names one twice, `p` is NaN, `eps` is negative or not finite, or `out` has another shape
        or is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `axis` is out of range.
    TypeError
        If a dtype is not supported, or `x` is a masked array.

    Notes
    -----
    As ``torch.nn.functional.normalize``, but norms that leave the range of the dtype do no harm: float32 data of 1e30
    or 1e-30 is right with any p. TensorFlow's ``tf.math.l2_normalize`` takes epsilon inside of the root, so its square
    root here, and all axes together by default; Keras' ``ops.normalize`` has the last axis as its default, as has ONNX'
    LpNormalization, which knows p = 1 and 2 and no eps.

    Examples
    --------
    >>> import fastnorm
    >>> fastnorm.normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    >>> fastnorm.normalize([[3.0, -1.0]], p=1)
    array([[ 0.75, -0.25]])
    """
    if isinstance(p, (int, float)) and p == 2:
        answer = plain.over_axis(x, None, None, axis, eps, out, NORM_2)
        if answer is not None:
            return answer
    array = arguments.as_input(x)
    axes = frozenset(arguments.as_axes(axis, array.ndim))
    power = arguments.as_float(p, "p")
    if math.isnan(power):
        raise ValueError("p is nan, expected a real number or an infinity")
    eps = arguments.as_eps(eps)
    out = arguments.as_output(out, array.shape)
    result_dtype = arguments.as_result_dtype(None, out, array)
    arithmetic = arguments.as_arithmetic(array, result_dtype)
    if array.dtype.kind in "iub":
        array = array.astype(arithmetic)  # once: a general p reads it three times
    statistic, given, weight = _STATISTIC.get(power, NORM_POWER), None, None
    if statistic == NORM_POWER:
        unit, factor = _by_power(array, axes, power, eps)
        if arithmetic == np.float64:  # the norm itself may be out of range
            given, weight = (np.zeros_like(unit), unit), factor
        else:
            with np.errstate(over="ignore"):
                rstd = unit * factor
            if eps > 0:  # it may meet zeros
                rstd = np.minimum(rstd, np.finfo(np.float64).max)
            given = (np.zeros_like(unit), rstd)
    y, _ = solve(
        array, out, result_dtype, weight, None, axes, eps=eps, statistic=statistic, given=given, return_stats=False
    )
    return y


def _by_power(x: NDArray[Any], axes: frozenset[int], power: float, eps: float) -> tuple[_Float64, _Float64]:
    """1 / max(norm, eps) in two factors, the first a power of 2.

    The powers are of magnitudes beside the largest (or, if p < 0, the smallest) one, so none leaves the range.
    """
    float64 = np.dtype(np.float64)
    if power == 0:
        level = np.ones([1 if axis in axes else length for axis, length in enumerate(x.shape)])
    else:
        level = measure(x, axes, float64, NORM_LARGEST if power > 0 else NORM_SMALLEST).m2
    root = measure(x, axes, float64, NORM_POWER, power=power, level=level).m2
    power_roots(np.ascontiguousarray(level), power, root)
    with np.errstate(all="ignore"):
        near = np.maximum(np.where(root == 0, 0.0, level), eps)  # the divisor, but for less than the number of elements
        unit = np.ldexp(1.0, -np.clip(np.frexp(near)[1], -1022, 1022))
        return unit, 1 / np.maximum(level * unit * root, eps * unit)


def min_max_scale(
    x: ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    feature_range: tuple[float, float] = (0, 1),
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    r"""Map the smallest and the largest value over one or more axes to the ends of a range.

    .. math:: y = low + (high - low) \, \frac{x - \min x}{\max x - \min x}

    A feature that is constant gives `low`. NaN is not seen where the ends are looked for, and stays NaN.

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any shape and strides; with the default axis, rows
        are samples and columns features. Integers and bools compute in float64, and return it unless `dtype` or `out`
        says otherwise.
    axis : int or tuple of int
        The axes that share a smallest and a largest value.
    feature_range : tuple of two floats
        `low` and `high`, finite, low < high. No result is outside.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared in any
        other way is safe too.
    dtype : dtype, optional
        The result's dtype, by default `x`'s. Arithmetic is float64 if `x` or the result is float64 (or `x` is
        of integers), else float32, and is rounded once to the result's dtype.

    Returns
    -------
    ndarray
        In `x`'s shape and memory order. The smallest value has become `low` exactly, the largest `high` (where the
        processor has a fused multiply-add, as all but the oldest have; else within rounding).

    Raises
    ------
    ValueError
        If `axis` is empty or names one twice, `feature_range` is not two finite numbers that rise, or `out` has another
        shape or is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `axis` is out of range.
    TypeError
        If a dtype is not supported, or `x` is a masked array.

    Notes
    -----
    As scikit-learn's ``minmax_scale``, which computes ``x * scale + shift``: data far from 0 costs it digits, and it
    may miss the ends. An infinite value gives what the formula gives: 0 or NaN in place of the fraction.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> fastnorm.min_max_scale(np.array([[1.0, 5.0], [2.0, 5.0], [5.0, 5.0]]))
    array([[0.  , 0.  ],
           [0.25, 0.  ],
           [1.  , 0.  ]])
    >>> fastnorm.min_max_scale([0, 128, 256], feature_range=(-1, 1))
    array([-1.,  0.,  1.])
    """
    array = arguments.as_input(x)
    axes = frozenset(arguments.as_axes(axis, array.ndim))
    out = arguments.as_output(out, array.shape)
    result_dtype = arguments.as_result_dtype(dtype, out, array)
    arithmetic = arguments.as_arithmetic(array, result_dtype)
    low, high = _as_range(feature_range, arithmetic, result_dtype)
    y, _ = solve(
        array,
        out,
        result_dtype,
        np.full((1,) * array.ndim, high - low, arithmetic),
        np.full((1,) * array.ndim, low, arithmetic),
        axes,
        eps=0.0,
        statistic=EXTREMES,
        upper=high,
        return_stats=False,
    )
    return y


def _as_range(
    feature_range: tuple[float, float], arithmetic: np.dtype[Any], result_dtype: np.dtype[Any]
) -> tuple[float, float]:
    """Both ends as values of the arithmetic dtype."""
    try:
        low, high = feature_range
    except (TypeError, ValueError):
        raise ValueError(f"feature_range is {feature_range!r}, expected two numbers, low < high") from None
    ends = np.array([arguments.as_float(one, "feature_range") for one in (low, high)])
    with np.errstate(all="ignore"):
        rounded = ends.astype(arithmetic)
        is_finite = np.isfinite(rounded[1] - rounded[0]) and np.isfinite(ends.astype(result_dtype)).all()
    if not (ends[0] < ends[1] and is_finite):
        raise ValueError(
            f"feature_range is {feature_range!r}, expected two finite numbers of {result_dtype}, low < high"
        )
    return float(rounded[0]), float(rounded[1])
