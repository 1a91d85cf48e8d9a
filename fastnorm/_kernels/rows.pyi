from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

F32: Final[int]
F64: Final[int]
F16: Final[int]
BF16: Final[int]
CENTERED: Final[int]
UNCENTERED: Final[int]
SQUARES: Final[int]

def normalize(
    x: NDArray[Any],
    y: NDArray[Any],
    weight: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    mean: NDArray[np.float64] | None,
    rstd: NDArray[np.float64] | None,
    x_type: int,
    y_type: int,
    eps: float,
    statistic: int,
    y_is_new: bool,
) -> None: ...
def small(
    x: object, weight: object, bias: object, axis: object, eps: object, out: object, statistic: int
) -> NDArray[Any] | None: ...
