"""The norms again, as their formulas read, in plain float64 NumPy: what the kernels are checked against.

Same names, parameters and result dtypes as the functions of `fastnorm`, less ``out``. Nothing here is fast, clever or
shared with the kernels, and nothing here should become so.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm._arguments import as_axes


def _spread(parameter: ArrayLike | None, x: NDArray[Any], axes: tuple[int, ...], neutral: float) -> NDArray[np.float64]:
    """The parameter in float64 and x's rank: given over `axes` alone, or broadcasting against x already."""
    if parameter is None:
        return np.full((1,) * x.ndim, neutral)
    values = np.asarray(parameter).astype(np.float64)
    if values.shape == tuple(x.shape[axis] for axis in axes):
        return values.reshape([x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)])
    return values


def _prepare(
    x: ArrayLike, axis: int | Sequence[int], dtype: DTypeLike | None
) -> tuple[NDArray[np.float64], tuple[int, ...], np.dtype[Any]]:
    array = np.asarray(x)
    if dtype is None:
        dtype = np.float64 if array.dtype.kind in "iub" else array.dtype
    return array.astype(np.float64), as_axes(axis, array.ndim), np.dtype(dtype)


def _mean(values: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    """The mean over `axes`, which stay with length 1; over no elements it is NaN."""
    count = math.prod(values.shape[axis] for axis in axes)
    if count == 0:
        return np.full([1 if axis in axes else length for axis, length in enumerate(values.shape)], np.nan)
    mean: NDArray[np.float64] = values.mean(axis=axes, keepdims=True)
    # Once more on what is left: the first mean is off by a rounding of its own size, which shows in constant data.
    if np.isfinite(mean).all():
        mean += (values - mean).mean(axis=axes, keepdims=True)
    return mean


def _rounded(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The nearest values of dtype, ties to even. ml_dtypes goes to bfloat16 by way of float32, which rounds twice."""
    if dtype.name == "bfloat16":
        _, exponent = np.frexp(values)
        unit = np.ldexp(1.0, np.maximum(exponent, -125) - 8)
        values = np.rint(values / unit) * unit
    return values.astype(dtype)


def layer_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    center: bool = True,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias; see `fastnorm.layer_norm`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.layer_norm([1.0, 3.0], eps=0.0)
    array([-1.,  1.])
    """
    values, axes, dtype = _prepare(x, axis, dtype)
    mean = _mean(values, axes)
    variance = _mean((values - mean) ** 2, axes)
    rstd = 1 / np.sqrt(variance + eps)
    centered = values - mean if center else values
    y = centered * rstd * _spread(weight, values, axes, 1.0) + _spread(bias, values, axes, 0.0)
    y = _rounded(y, dtype)
    return (y, mean, rstd) if return_stats else y


def rms_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-6,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """X / sqrt(mean of squares + eps) * weight; see `fastnorm.rms_norm`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.rms_norm([3.0, -3.0], eps=0.0)
    array([ 1., -1.])
    """
    values, axes, dtype = _prepare(x, axis, dtype)
    rstd = 1 / np.sqrt(_mean(values**2, axes) + eps)
    y = _rounded(values * rstd * _spread(weight, values, axes, 1.0), dtype)
    return (y, rstd) if return_stats else y
