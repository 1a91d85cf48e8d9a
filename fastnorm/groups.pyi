from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

@overload
def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]: ...
