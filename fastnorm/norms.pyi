from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

@overload
def layer_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    center: bool = True,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def layer_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    center: bool = True,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]: ...
@overload
def rms_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-6,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def rms_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-6,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64]]: ...
