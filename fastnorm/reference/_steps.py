"""The steps that every formula takes: to float64, parameters to x's rank, a mean, one rounding at the end."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm._arguments import as_axes

Values = NDArray[np.float64]


def prepare(
    x: ArrayLike, axis: int | Sequence[int], dtype: DTypeLike | None
) -> tuple[Values, tuple[int, ...], np.dtype[Any]]:
    """The values, the axes in rising order, and the result's dtype."""
    array = np.asarray(x)
    if dtype is None:
        dtype = np.float64 if array.dtype.kind in "iub" else array.dtype
    return array.astype(np.float64), as_axes(axis, array.ndim), np.dtype(dtype)


def spread(parameter: ArrayLike | None, x: Values, axes: tuple[int, ...], neutral: float) -> Values:
    """The parameter in float64 and x's rank: given over `axes` alone, or broadcasting against x already."""
    if parameter is None:
        return np.full((1,) * x.ndim, neutral)
    values = np.asarray(parameter).astype(np.float64)
    if values.shape == tuple(x.shape[axis] for axis in axes):
        return values.reshape([x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)])
    return values


def mean(values: Values, axes: tuple[int, ...]) -> Values:
    """The mean over `axes`, which stay with length 1; over no elements it is NaN."""
    if length(values, axes) == 0:
        return np.full([1 if axis in axes else n for axis, n in enumerate(values.shape)], np.nan)
    first: Values = values.mean(axis=axes, keepdims=True)
    # Once more on what is left: the first mean is off by a rounding of its own size, which shows in constant data.
    if np.isfinite(first).all():
        first += (values - first).mean(axis=axes, keepdims=True)
    return first


def length(values: Values, axes: tuple[int, ...]) -> int:
    """The number of elements that share a statistic."""
    return math.prod(values.shape[axis] for axis in axes)


def rounded(values: Values, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The nearest values of dtype, ties to even. ml_dtypes goes to bfloat16 by way of float32, which rounds twice."""
    if dtype.name == "bfloat16":
        _, exponent = np.frexp(values)
        unit = np.ldexp(1.0, np.maximum(exponent, -125) - 8)
        values = np.rint(values / unit) * unit
    return values.astype(dtype)
