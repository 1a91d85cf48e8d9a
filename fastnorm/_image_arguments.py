"""Checks of what `normalize_image` takes: the image, its layout, and a mean and a std for each channel.

As in `_arguments`, each returns the value in the form that the rest works with, or raises before anything is written.
Images are small enough for these checks to be a part of the time: a few channels are checked as Python floats.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _arguments as arguments

Array = NDArray[Any]

_LAYOUTS = ("HWC->CHW", "HWC->HWC")
_UINT8 = np.dtype(np.uint8)
# The smallest and the largest number of full precision.
_RANGE = {np.dtype(one): (float(np.finfo(one).tiny), float(np.finfo(one).max)) for one in (np.float32, np.float64)}


def as_image(image: ArrayLike) -> Array:
    """A 3-D or 4-D ndarray of uint8 or a supported float dtype."""
    array = arguments.as_array(image, "image")
    if array.dtype != _UINT8 and not arguments.is_supported(arguments.native(array.dtype)):
        hint = ""
        if array.dtype.kind in "iub":
            hint = ": convert it by image.astype(numpy.float32), and say by scale what a unit is, as 1/65535 of 16 bits"
        raise TypeError(f"image has dtype {array.dtype}, expected uint8, float16, bfloat16, float32 or float64{hint}")
    if array.ndim not in (3, 4):
        raise ValueError(f"image has shape {array.shape}, expected (height, width, channels), or with N before")
    return array


def as_planes(layout: str) -> bool:
    """Whether the result's channels come before its rows."""
    if not isinstance(layout, str) or layout not in _LAYOUTS:
        raise ValueError(f"layout is {layout!r}, expected {' or '.join(map(repr, _LAYOUTS))}")
    return layout == _LAYOUTS[0]


def as_scale(scale: float | None, image: Array) -> float:
    """A finite number other than 0; by default what takes uint8 to 1."""
    if scale is None:
        return 1 / 255 if image.dtype == _UINT8 else 1.0
    value = arguments.as_float(scale, "scale")
    if not math.isfinite(value) or value == 0:
        raise ValueError(f"scale is {scale!r}, expected a finite number other than 0")
    return value


def as_result_dtype(dtype: DTypeLike | None, out: Array | None, image: Array) -> np.dtype[Any]:
    """`dtype`, or out's, or float32."""
    return arguments.as_result_dtype(np.float32 if dtype is None and out is None else dtype, out, image)


def as_maps(
    mean: ArrayLike, std: ArrayLike, scale: float, image: Array, arithmetic: np.dtype[Any]
) -> tuple[list[float], list[float]]:
    """For each channel, what to subtract from the image and what to multiply it with then."""
    channels = image.shape[-1]
    means = [one / scale for one in _as_values(mean, "mean", channels)]
    deviations = _as_values(std, "std", channels)
    if 0.0 in deviations:
        raise ValueError(f"std is 0 for channel {deviations.index(0.0)}, expected numbers other than 0")
    factors = [scale / one for one in deviations]
    low, high = _RANGE[arithmetic]
    most = high * float(np.finfo(arithmetic).eps) / 4  # beyond it image - mean may leave the range
    if channels and (
        max(map(abs, means)) >= most or not low <= min(map(abs, factors)) <= max(map(abs, factors)) <= high
    ):
        wider = "" if arithmetic == np.float64 else ": dtype=numpy.float64 has a wider one"
        worst = next(
            channel
            for channel, (one, factor) in enumerate(zip(means, factors, strict=True))
            if abs(one) >= most or not low <= abs(factor) <= high
        )
        raise ValueError(
            f"mean / scale is {means[worst]} and scale / std is {factors[worst]} for channel {worst}, expected both "
            f"in the range of {arithmetic}, and the former below {most:.3g}{wider}"
        )
    return means, factors


def _as_values(value: Any, name: str, channels: int) -> list[float]:
    """Finite numbers, one for each channel."""
    values: list[float]
    if type(value) in (tuple, list) and len(value) == channels and {*map(type, value)} == {float}:
        values = list(value)
    else:
        array = arguments.as_input(value, name)
        if array.shape not in ((), (channels,)):
            raise ValueError(
                f"{name} has shape {array.shape}, expected ({channels},) for image's channels, or a single number"
            )
        values = array.astype(np.float64).reshape(-1).tolist() * (1 if array.ndim else channels)
    if not all(map(math.isfinite, values)):
        channel = next(channel for channel, one in enumerate(values) if not math.isfinite(one))
        raise ValueError(f"{name} is {values[channel]} for channel {channel}, expected finite numbers")
    return values
