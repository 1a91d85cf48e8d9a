"""From a checked image to a kernel call: the result's memory, overlaps, and the choice of a kernel.

Dense floats that stay as they lie are a norm over channels with given statistics, at the speed of memory. All others
go to the kernel of images, which walks any strides, alignment and byte order; only an image that the result would
overwrite is copied.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels import images
from fastnorm._memory import spoils
from fastnorm._normalize import solve

Array = NDArray[Any]


def result_shape(image: Array, planes: bool) -> tuple[int, ...]:
    """The shape of the image, or with its channels before its rows."""
    shape = image.shape
    return (*shape[:-3], shape[-1], *shape[-3:-1]) if planes else shape


def solve_image(
    image: Array,
    out: Array | None,
    result_dtype: np.dtype[Any],
    planes: bool,
    means: list[float],
    factors: list[float],
) -> Array:
    """(image - mean) * factor for each channel; means and factors are in the range of the arithmetic dtype."""
    if not planes and image.dtype != np.uint8 and _is_dense(image) and (out is None or _is_dense(out)):
        return _solve_floats(image, out, result_dtype, means, factors)
    if out is not None:
        result = out
    elif planes:
        result = np.empty(result_shape(image, True), result_dtype)
    else:
        result = np.empty_like(image, dtype=result_dtype, subok=False)
    if result.size == 0:
        return result
    if out is not None and spoils(_as_pixels(out) if planes else out, image):
        image = image.copy()
    x_type = images.U8 if image.dtype == np.uint8 else arguments.element_type(arguments.native(image.dtype))
    images.normalize(image, result, means, factors, planes, x_type, arguments.element_type(result_dtype))
    return result


def _is_dense(array: Array) -> bool:
    return array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative


def _as_pixels(planes: Array) -> Array:
    """The same memory with its channels last."""
    return planes.transpose(*range(planes.ndim - 3), -2, -1, -3)


def _solve_floats(
    image: Array, out: Array | None, result_dtype: np.dtype[Any], means: list[float], factors: list[float]
) -> Array:
    shape = (*(1 for _ in image.shape[:-1]), len(means))
    y, _ = solve(
        image,
        out,
        result_dtype,
        None,
        None,
        frozenset(range(image.ndim - 1)),
        eps=0.0,
        given=(np.reshape(means, shape), np.reshape(factors, shape)),
    )
    return y
