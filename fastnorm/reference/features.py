"""Statistics of data sets, and the z-score that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnorm.reference import _steps


def standardize(
    x: ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    ddof: int = 0,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    """(x - mean) / std, and 0 where the data is constant within rounding; see `fastnorm.standardize`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.standardize([[1.0, 0.1], [3.0, 0.1]])
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    values, axes, dtype = _steps.prepare(x, axis, dtype)
    n = _steps.length(values, axes)
    mean = _steps.mean(values, axes)
    variance = _steps.mean((values - mean) ** 2, axes) * (n / (n - ddof) if n > ddof else np.nan)
    u = 2.0**-52
    constant = variance <= n * u * variance + (n * mean * u) ** 2
    rstd = np.where(constant, 0.0, 1 / np.sqrt(np.where(constant, 1.0, variance)))
    y = _steps.rounded((values - mean) * rstd, dtype)
    return (y, mean, rstd) if return_stats else y


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations from it; see `fastnorm.Moments`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.Moments(count=2, mean=2.0, m2=2.0).var(ddof=1)
    2.0
    """

    count: int
    mean: Any
    m2: Any

    def var(self, ddof: int = 0) -> Any:
        """The mean squared deviation, of count - ddof."""
        return self.m2 / (self.count - ddof) if self.count > ddof else self.m2 * np.nan

    def std(self, ddof: int = 0) -> Any:
        """The square root of `var`."""
        return np.sqrt(self.var(ddof))

    def merge(self, other: Moments) -> Moments:
        """The moments of both data sets together."""
        if self.count == 0 or other.count == 0:
            return other if self.count == 0 else self
        count = self.count + other.count
        mean = self.mean + (other.mean - self.mean) * (other.count / count)
        between = self.count * (self.mean - mean) ** 2 + other.count * (other.mean - mean) ** 2
        return Moments(count, mean, self.m2 + other.m2 + between)


def moments(x: ArrayLike, *, axis: int | Sequence[int] | None = None) -> Moments:
    """Count, mean and sum of squared deviations; see `fastnorm.moments`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.moments([[1.0, 5.0], [3.0, 5.0]], axis=0)
    Moments(count=2, mean=array([2., 5.]), m2=array([2., 0.]))
    """
    if axis is None:
        x, axis = np.ravel(x), 0
    values, axes, _ = _steps.prepare(x, axis, np.float64)
    mean = _steps.mean(values, axes)
    m2 = ((values - mean) ** 2).sum(axis=axes)
    count = _steps.length(values, axes)
    return Moments(count, mean.squeeze(axes)[()], m2 if count else m2 * np.nan)
