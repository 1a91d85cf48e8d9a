from typing import Any, Final

from numpy.typing import NDArray

ACTIVATIONS: Final[dict[str, int]]

def finish(
    a: NDArray[Any],
    gain: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    y: NDArray[Any],
    x_type: int,
    y_type: int,
    eps: float,
    activation: int,
) -> None: ...
