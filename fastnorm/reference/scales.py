"""Scaling without a mean: to length 1, and to a range."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm.reference import _steps
from fastnorm.reference._steps import Values


def normalize(x: ArrayLike, *, p: float = 2, axis: int | Sequence[int] = 1, eps: float = 1e-12) -> NDArray[Any]:
    """X / max(norm, eps), the norm being (sum of abs(x)**p)**(1 / p); see `fastnorm.normalize`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.normalize([[3.0, -4.0]])
    array([[ 0.6, -0.8]])
    """
    values, axes, dtype = _steps.prepare(x, axis, None)
    # The norm of x / unit times unit: with the largest as the unit (the smallest, if p < 0) no power leaves the range.
    unit = np.array(1.0) if p == 0 else _extreme(values, p, axes)
    unit = np.where((unit == 0) | np.isinf(unit), 1.0, unit)
    t = values / unit
    norm = _norm(t, p, axes)
    short = unit * norm < eps
    return _steps.rounded(np.where(short, values, t) / np.where(short, eps, norm), dtype)


def min_max_scale(
    x: ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    feature_range: tuple[float, float] = (0, 1),
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Low + (x - min) / (max - min) * (high - low); see `fastnorm.min_max_scale`.

    NaN belongs to no range; where all else is equal the result is low.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.min_max_scale([[1.0, 7.0], [2.0, 7.0], [5.0, 7.0]], feature_range=(-1, 1))
    array([[-1. , -1. ],
           [-0.5, -1. ],
           [ 1. , -1. ]])
    """
    values, axes, dtype = _steps.prepare(x, axis, dtype)
    low, high = feature_range
    least = np.fmin.reduce(values, axis=axes, keepdims=True, initial=np.inf)  # fmin passes over NaN
    most = np.fmax.reduce(values, axis=axes, keepdims=True, initial=-np.inf)
    # Half of everything where the distance itself is out of range.
    half = np.where(np.isinf(most - least), 0.5, 1.0)
    t = (half * values - half * least) / np.where(least < most, half * most - half * least, 1.0)
    y = np.clip(low + t * (high - low), low, high)
    return _steps.rounded(y, dtype)


def _extreme(values: Values, p: float, axes: tuple[int, ...]) -> Values:
    """The norm of p = inf, the largest magnitude, or for p < 0 that of -inf, the smallest."""
    pick, none = (np.minimum, np.inf) if p < 0 else (np.maximum, 0.0)
    extreme: Values = pick.reduce(np.abs(values), axis=axes, keepdims=True, initial=none)
    return extreme


def _norm(values: Values, p: float, axes: tuple[int, ...]) -> Values:
    """As `numpy.linalg.norm` has it: for p = 0 the number of values that are not 0."""
    if np.isinf(p):
        return _extreme(values, p, axes)
    norm: Values
    if p == 0:
        norm = (values != 0).sum(axis=axes, keepdims=True, dtype=np.float64)
    else:
        norm = (np.abs(values) ** p).sum(axis=axes, keepdims=True) ** (1 / p)
    return norm
