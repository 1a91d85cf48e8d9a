from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

def normalize_image(
    image: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    *,
    scale: float | None = None,
    layout: Literal["HWC->CHW", "HWC->HWC"] = "HWC->CHW",
    dtype: DTypeLike | None = np.float32,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
