from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

@overload
def batch_norm(
    x: ArrayLike,
    running_mean: NDArray[Any] | None = None,
    running_var: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    running_ddof: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def batch_norm(
    x: ArrayLike,
    running_mean: NDArray[Any] | None = None,
    running_var: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    running_ddof: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]: ...
@overload
def instance_norm(
    x: ArrayLike,
    running_mean: NDArray[Any] | None = None,
    running_var: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def instance_norm(
    x: ArrayLike,
    running_mean: NDArray[Any] | None = None,
    running_var: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]: ...
