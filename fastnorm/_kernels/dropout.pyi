from typing import Any

import numpy as np
from numpy.typing import NDArray

def dropout(
    x: NDArray[Any],
    y: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    number: int,
    key: int,
    threshold: int,
    high: float,
    low: float,
    x_type: int,
    y_type: int,
) -> None: ...
