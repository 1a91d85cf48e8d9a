from typing import Any

from numpy.typing import ArrayLike, NDArray

def local_response_norm(
    x: ArrayLike,
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
