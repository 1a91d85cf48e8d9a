"""Arrays as memory: whether kernels can read them, whether one spoils another, and dense scratch for those they cannot.

What every kernel's Python side asks before it hands arrays over; none of it looks at data.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Gathered at a time, unless what belongs together is larger: with the result it stays in the second-level cache.
GATHER_BYTES = 512 * 1024


def is_kernel_array(array: Array) -> bool:
    """Whether kernels can read its elements as they are: aligned, in this machine's byte order."""
    return array.flags.aligned and array.dtype.isnative


def spoils(y: Array, x: Array) -> bool:
    """Whether writing y may change x before it is read. Writing x itself, element over element, does not."""
    if not np.may_share_memory(x, y):
        return False
    is_x = x.ctypes.data == y.ctypes.data and x.strides == y.strides and x.itemsize == y.itemsize
    return not is_x or _may_overlap_itself(x)


def _may_overlap_itself(array: Array) -> bool:
    """Whether two elements may share memory (sliding windows): an axis steps by less than those below it span."""
    span = array.itemsize
    for step, length in sorted((abs(step), length) for step, length in zip(array.strides, array.shape, strict=True)):
        if length > 1:
            if step < span:
                return True
            span += step * (length - 1)
    return False


def dense_steps(shape: tuple[int, ...], order: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The `steps` of an `empty` array."""
    found, step = [0] * len(shape), itemsize
    for axis in reversed(order):
        found[axis] = step
        step *= shape[axis]
    return tuple(found)


def empty(shape: tuple[int, ...], order: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array without gaps whose axes lie in memory in this order, those of length 1 left out."""
    full = (*(axis for axis in range(len(shape)) if axis not in order), *order)
    return np.empty([shape[axis] for axis in full], dtype).transpose(np.argsort(full))


def dense(array: Array, order: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A copy in an `empty` array."""
    copy = empty(array.shape, order, dtype)
    copy[...] = array
    return copy


def blocks(x: Array, kept: tuple[int, ...], *, least: int) -> Iterator[tuple[slice, ...]]:
    """Cut the axes `kept`, given from the outermost, into blocks of `GATHER_BYTES`, or of `least` places."""
    elements = math.prod(length for axis, length in enumerate(x.shape) if axis not in kept)
    left = max(GATHER_BYTES // (elements * x.itemsize), least)
    take = list(x.shape)
    for axis in reversed(kept):
        take[axis] = min(x.shape[axis], left)
        left = left // take[axis] or 1
    starts = (range(0, length, step) for length, step in zip(x.shape, take, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(slice(start, start + step) for start, step in zip(corner, take, strict=True))
