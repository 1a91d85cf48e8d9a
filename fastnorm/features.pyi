from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

@overload
def standardize(
    x: ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    ddof: int = 0,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def standardize(
    x: ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    ddof: int = 0,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: Literal[True],
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]: ...

@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    count: int
    mean: Any
    m2: Any
    def var(self, ddof: int = 0) -> Any: ...
    def std(self, ddof: int = 0) -> Any: ...
    def merge(self, other: Moments) -> Moments: ...

def moments(x: ArrayLike, *, axis: int | Sequence[int] | None = None) -> Moments: ...
