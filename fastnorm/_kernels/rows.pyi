from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ACTIVATIONS: Final[dict[str, int]]

def power_roots(level: NDArray[np.float64], power: float, sums: NDArray[np.float64]) -> None: ...
def normalize(
    side: int,
    x: NDArray[Any],
    y: NDArray[Any] | None,
    weight: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    mean: NDArray[np.float64] | None,
    rstd: NDArray[np.float64] | None,
    m2: NDArray[np.float64] | None,
    x_type: int,
    y_type: int,
    eps: float,
    ddof: int,
    statistic: int,
    power: float,
    upper: float,
) -> None: ...
def normalize_and_activate(
    a: NDArray[Any],
    gain: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    y: NDArray[Any],
    x_type: int,
    y_type: int,
    eps: float,
    activation: int,
) -> None: ...
