from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

@overload
def conditional_instance_norm(
    x: ArrayLike,
    labels: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def conditional_instance_norm(
    x: ArrayLike,
    labels: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]: ...
@overload
def adaptive_instance_norm(
    content: ArrayLike,
    style: ArrayLike,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def adaptive_instance_norm(
    content: ArrayLike,
    style: ArrayLike,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]: ...
