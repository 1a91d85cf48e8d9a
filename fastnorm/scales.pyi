from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike, NDArray

def normalize(
    x: ArrayLike,
    *,
    p: float = 2,
    axis: int | Sequence[int] = 1,
    eps: float = 1e-12,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
def min_max_scale(
    x: ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    feature_range: tuple[float, float] = (0, 1),
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]: ...
