"""The normalization of images."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm.reference import _steps


def normalize_image(
    image: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    *,
    scale: float | None = None,
    layout: str = "HWC->CHW",
    dtype: DTypeLike | None = np.float32,
) -> NDArray[Any]:
    """(image * scale - mean) / std; see `fastnorm.normalize_image`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.normalize_image([[[2.0, 3.0]]], mean=1.0, std=[1.0, 2.0])
    array([[[1.]],
    <BLANKLINE>
           [[1.]]], dtype=float32)
    """
    x = np.asarray(image)
    if scale is None:
        scale = 1 / 255 if x.dtype == np.uint8 else 1.0
    y = (x.astype(np.float64) * scale - np.asarray(mean).astype(np.float64)) / np.asarray(std).astype(np.float64)
    if layout == "HWC->CHW":
        y = np.moveaxis(y, -1, -3)
    return _steps.rounded(y, np.dtype(np.float32 if dtype is None else dtype))
