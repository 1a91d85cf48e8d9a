from typing import Any

from numpy.typing import NDArray

def small(
    x: object, weight: object, bias: object, axis: object, eps: object, out: object, statistic: int
) -> NDArray[Any] | None: ...
