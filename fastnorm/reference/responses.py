"""Local response norm: each channel against its neighbours."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm.reference import _steps


def local_response_norm(
    x: ArrayLike,
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    channel_axis: int = 1,
) -> NDArray[Any]:
    """X / (k + alpha / size * (sum of squares of `size` channels))**beta; see `fastnorm.local_response_norm`.

    The channels from ``c - size // 2`` to ``c + (size - 1) // 2`` belong to channel c.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.local_response_norm([[1.0, 2.0, 3.0]], 3, alpha=3.0, beta=1.0, k=0.0)
    array([[0.2       , 0.14285714, 0.23076923]])
    """
    values, (channel,), dtype = _steps.prepare(x, channel_axis, None)
    squares = np.moveaxis(values, channel, 0) ** 2
    sums = np.empty_like(squares)
    for c in range(len(squares)):
        sums[c] = squares[max(c - size // 2, 0) : c + (size - 1) // 2 + 1].sum(axis=0)
    y = values / (k + alpha / size * np.moveaxis(sums, 0, channel)) ** beta
    return _steps.rounded(y, dtype)
