"""Float64 arithmetic on statistics: what is done with a few numbers for each channel, never with the data.

Without warnings: NaN and infinity come of the data, as they do in the kernels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnorm._arguments import is_bfloat16
from fastnorm._kernels import views

Float64 = NDArray[np.float64]


def given(running: tuple[NDArray[Any], NDArray[Any]], eps: float) -> tuple[Float64, Float64]:
    """The mean and rstd that running arrays stand for."""
    mean, var = (np.array(one, np.float64) for one in running)  # of a subclass, too, a plain array
    with np.errstate(all="ignore"):
        return mean, 1 / np.sqrt(var + eps)


def folded(
    running: tuple[NDArray[Any], NDArray[Any]],
    weight: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    eps: float,
    before: NDArray[Any] | None = None,
) -> tuple[Float64, Float64]:
    """Scale and shift of a batch norm by running arrays, of values to which `before` is yet to be added."""
    mean, scale = given(running, eps)
    with np.errstate(all="ignore"):
        if weight is not None:
            scale = scale * weight.astype(np.float64)
        shift = ((0.0 if before is None else before.astype(np.float64)) - mean) * scale
        return scale, shift if bias is None else shift + bias.astype(np.float64)


def flushed(values: Float64, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values rounded once to dtype, with 0 for its subnormal numbers."""
    with np.errstate(all="ignore"):
        result = _rounded(values, dtype).astype(dtype)
        result[np.abs(result) < np.finfo(np.float32 if is_bfloat16(dtype) else dtype).tiny] = 0
    return result


def update(
    running: tuple[NDArray[Any], NDArray[Any]], mean: Float64, m2: Float64, count: int, ddof: int, momentum: float
) -> None:
    """Move running_mean and running_var to a batch's (C,), or to the average of its instances' (N, C)."""
    with np.errstate(all="ignore"):
        batch = [mean, m2 / (count - ddof)]
        if mean.ndim == 2:
            batch = [one.mean(axis=0) for one in batch]
        moved = [_moved(np.array(old, np.float64), new, momentum) for old, new in zip(running, batch, strict=True)]
        rounded = [_rounded(values, old.dtype).astype(old.dtype) for old, values in zip(running, moved, strict=True)]
    views.assign(running, rounded)  # both or none, if a signal comes


def _moved(old: Float64, new: Float64, momentum: float) -> Float64:
    # What has no share is left out, because 0 * NaN is NaN: an array may come uninitialised to its first batch.
    if momentum == 1:
        return new
    return old if momentum == 0 else (1 - momentum) * old + momentum * new


def deviation(m2: Float64, count: int, eps: float) -> Float64:
    """sqrt(population variance + eps)."""
    with np.errstate(all="ignore"):
        return np.sqrt(m2 / (count or np.nan) + eps)


def _rounded(values: Float64, dtype: np.dtype[Any]) -> Float64:
    """Values that a cast to dtype rounds once: ml_dtypes casts to bfloat16 by way of float32."""
    if not is_bfloat16(dtype):
        return values
    _, exponent = np.frexp(values)
    unit: Float64 = np.ldexp(1.0, np.maximum(exponent, -125) - 8)
    return np.rint(values / unit) * unit
