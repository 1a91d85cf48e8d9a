"""Layer norm and RMS norm: the axes that share a statistic are the caller's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnorm.reference import _steps


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
    values, axes, dtype = _steps.prepare(x, axis, dtype)
    mean = _steps.mean(values, axes)
    variance = _steps.mean((values - mean) ** 2, axes)
    rstd = 1 / np.sqrt(variance + eps)
    centered = values - mean if center else values
    y = centered * rstd * _steps.spread(weight, values, axes, 1.0) + _steps.spread(bias, values, axes, 0.0)
    y = _steps.rounded(y, dtype)
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
    values, axes, dtype = _steps.prepare(x, axis, dtype)
    rstd = 1 / np.sqrt(_steps.mean(values**2, axes) + eps)
    y = _steps.rounded(values * rstd * _steps.spread(weight, values, axes, 1.0), dtype)
    return (y, rstd) if return_stats else y
