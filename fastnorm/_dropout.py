"""From checked arguments to dropout's kernel: the factor, the result's memory, and scratch.

The kernel walks contiguous memory. Anything else is taken a block at a time through scratch, in C order, which numbers
the elements and so decides which are dropped.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels import dropout as kernel
from fastnorm._memory import is_kernel_array, spoils

Array = NDArray[Any]
Index = tuple[int | slice, ...]
Options = tuple[int, int, float, float]  # key, threshold, and the factor as high and low

# Elements taken at a time: with the result they stay in the second-level cache.
BLOCK = 64 * 1024


def solve(
    x: Array, out: Array | None, result_dtype: np.dtype[Any], p: float, key: int, mask: NDArray[np.bool_] | None
) -> Array:
    """Drop elements of checked x with probability p, and scale the others by 1 / (1 - p).

    `mask`, where it is wanted, is C-contiguous and of x's shape: it is set where an element is kept.
    """
    result = np.empty_like(x, dtype=result_dtype, subok=False) if out is None else out
    if x.size == 0:
        return result
    arithmetic = arguments.as_arithmetic(x, result_dtype)
    if p in (0, 1) and mask is not None:
        mask[...] = p == 0
    if p == 1:
        result[...] = 0
        return result
    if x.dtype.kind in "iub":
        x = x.astype(arithmetic)
    if p == 0 and arguments.native(x.dtype) == result_dtype:
        np.copyto(result, x)
        return result
    if out is not None and spoils(result, x):
        x = x.astype(arguments.native(x.dtype))
    # So that p, however small or near 1, is never taken for 0 or 1.
    threshold = min(max(round(p * 2**32), 1), 2**32 - 1) if p else 0
    options = (key, threshold, *_factor(p, arithmetic))
    _walk(x, result, mask, options)
    return result


@functools.lru_cache(maxsize=256)
def _factor(p: float, arithmetic: np.dtype[Any]) -> tuple[float, float]:
    """1 / (1 - p) as a value of the arithmetic dtype that is not above it, and what is missing; above 0.

    From the ratio of integers that p is, so that each is rounded once; kept, because a model has few p.
    """
    numerator, denominator = p.as_integer_ratio()
    kept = denominator - numerator

    def missing(high: Any) -> float:
        n, d = float(high).as_integer_ratio()
        return (denominator * d - n * kept) / (d * kept)

    high = arithmetic.type(denominator / kept)
    if missing(high) < 0:
        high = np.nextafter(high, arithmetic.type(0))
    # Far less than the result's last bit, but x * low is then an infinity of x's sign where x is one, never NaN.
    return float(high), max(missing(high), float(high) * 2.0**-60)


def _walk(x: Array, y: Array, mask: NDArray[np.bool_] | None, options: Options) -> None:
    """Hand x to the kernel: as a whole, or block by block."""
    if _is_plain(x) and _is_plain(y):
        _call(x, y, mask, 0, options)
        return
    if x.ndim == 0:
        x, y, mask = x[None], y[None], None if mask is None else mask[None]
    for index, number in _blocks(x.shape):
        part, to = np.require(x[index], arguments.native(x.dtype), ["C", "A"]), y[index]
        scratch = to if _is_plain(to) else np.empty(to.shape, arguments.native(y.dtype))
        _call(part, scratch, None if mask is None else mask[index], number, options)
        if scratch is not to:
            to[...] = scratch


def _is_plain(array: Array) -> bool:
    return array.flags.c_contiguous and is_kernel_array(array)


def _call(x: Array, y: Array, mask: NDArray[np.bool_] | None, number: int, options: Options) -> None:
    types = arguments.element_type(x.dtype), arguments.element_type(y.dtype)
    kernel.dropout(x, y, mask, number, *options, *types)


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[Index, int]]:
    """Parts of at most `BLOCK` elements, each a stretch of the C order, and the number of its first element."""
    axis, inner = 0, math.prod(shape[1:])
    while inner > BLOCK:
        axis += 1
        inner //= shape[axis]
    length, step = shape[axis], max(BLOCK // inner, 1)
    for row, corner in enumerate(np.ndindex(shape[:axis])):
        for start in range(0, length, step):
            yield (*corner, slice(start, start + step)), (row * length + start) * inner
