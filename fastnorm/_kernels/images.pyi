from typing import Any, Final

from numpy.typing import NDArray

U8: Final[int]

def normalize(
    x: NDArray[Any],
    y: NDArray[Any],
    means: list[float],
    factors: list[float],
    planes: bool,
    x_type: int,
    y_type: int,
) -> None: ...
