from typing import Any

from numpy.typing import NDArray

def respond(
    x: NDArray[Any],
    y: NDArray[Any],
    sizes: tuple[int, ...],
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    x_type: int,
    y_type: int,
    before: int,
    after: int,
    scale: float,
    beta: float,
    k: float,
) -> None: ...
