"""From checked arguments to the window kernel: the result's memory, overlaps, and what the kernel cannot walk.

As in `_normalize`, x's memory order alone decides where vectors run, and what one stride for each word does not reach
is gathered into dense scratch a block at a time, a block being some places with all of their channels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels import window
from fastnorm._layout import Layout, canonical, memory_order, steps, word_strides
from fastnorm._memory import blocks, dense, empty, is_kernel_array, spoils

Array = NDArray[Any]
Walk = tuple[int, int, int]


def respond(x: Array, out: Array | None, result_dtype: np.dtype[Any], channel_axis: int, **parameters: Any) -> Array:
    """Divide each element by a power of the squares around it; `parameters` are those of the kernel."""
    result = np.empty_like(x, dtype=result_dtype, subok=False) if out is None else out
    if x.size == 0:
        return result
    if x.dtype.kind in "iub":
        x = x.astype(np.float64)
    target = result if is_kernel_array(result) else np.empty_like(result, dtype=result_dtype, subok=False)
    if spoils(target, x):
        x = x.astype(arguments.native(x.dtype))

    layout = canonical(x.shape, frozenset({channel_axis}), memory_order(x.shape, x.strides), ())
    assert layout is not None  # at most three words: before, channels, after
    if not _call(x, target, layout, **parameters):
        for block in blocks(x, layout.words[0] + layout.words[2], least=1 if layout.words[4] else 64):
            part = x[block]
            dense_x = dense(part, layout.order, arguments.native(x.dtype))
            dense_y = empty(part.shape, layout.order, target.dtype)
            called = _call(dense_x, dense_y, layout, **parameters)
            assert called
            target[block] = dense_y
    if target is not result:
        result[...] = target
    return result


def _call(x: Array, y: Array, layout: Layout, **parameters: Any) -> bool:
    """Hand over to the kernel; False where x or y has to be gathered first."""
    before, channels, after, _, innermost = layout.sizes(x.shape)
    sizes = (after, innermost, 1) if layout.words[4] else (before, channels, after)
    x_steps, y_steps = _walk(x, layout, sizes), _walk(y, layout, sizes)
    if x_steps is None or y_steps is None:
        return False
    types = arguments.element_type(x.dtype), arguments.element_type(y.dtype)
    window.respond(x, y, sizes, x_steps, y_steps, *types, **parameters)
    return True


def _walk(array: Array, layout: Layout, sizes: Walk) -> Walk | None:
    """The strides along what lies outside of the channels, along them, and inside, where the kernel can walk them."""
    if not is_kernel_array(array):
        return None
    strides = word_strides(layout, array.shape, steps(array))
    if strides is None:
        return None
    before, channels, after, _, innermost = strides
    outer, channel, inner = (after, innermost, 0) if layout.words[4] else (before, channels, after)
    _, channel_number, inner_number = sizes
    contiguous = inner if inner_number > 1 else channel if channel_number > 1 else array.itemsize
    return (outer, channel, array.itemsize) if contiguous == array.itemsize else None
