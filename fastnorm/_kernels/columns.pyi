from typing import Any

import numpy as np
from numpy.typing import NDArray

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
