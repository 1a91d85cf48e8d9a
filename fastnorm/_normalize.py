"""From checked arguments to a kernel call: the result's memory, overlaps, the canonical problem, and its statistics.

One function for every norm that shares statistics over axes; a norm differs only in the axes and the parameters it
passes. Data that no canonical problem holds goes through a dense copy in x's own memory order, so that its bits are
those of the dense array.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels import rows
from fastnorm._kernels.views import view
from fastnorm._layout import Layout, canonical, memory_order

Array = NDArray[Any]
Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]


class _Problem(NamedTuple):
    """Arrays of one shape (the parameters broadcast against it), and what to do with them."""

    x: Array
    y: Array
    weight: Array | None
    bias: Array | None
    reduced: frozenset[int]
    statistics: Statistics | None  # mean and rstd to fill, the reduced axes of length 1
    y_is_new: bool
    eps: float
    statistic: int

    @property
    def operands(self) -> tuple[Array | None, ...]:
        return self.x, self.y, self.weight, self.bias


def normalize(
    x: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    *,
    axis: Any,
    eps: float,
    statistic: int,
    out: Any,
    dtype: DTypeLike | None,
    return_stats: bool,
) -> tuple[Array, Statistics | None]:
    """Normalise x over `axis`, then scale and shift; returns the result and, where asked, each mean and rstd."""
    array = arguments.as_input(x)
    axes = arguments.as_axes(axis, array.ndim)
    eps = arguments.as_eps(eps)
    out = arguments.as_output(out, array.shape)
    result_dtype = arguments.as_result_dtype(dtype, out, array)
    is_f64 = array.dtype.kind in "iub" or np.float64 in (result_dtype, arguments.native(array.dtype))
    arithmetic = np.dtype(np.float64 if is_f64 else np.float32)
    weight = arguments.as_parameter(weight, "weight", array, axes, arithmetic)
    bias = arguments.as_parameter(bias, "bias", array, axes, arithmetic)

    result = np.empty_like(array, dtype=result_dtype, subok=False) if out is None else out
    statistics = None
    if return_stats:
        kept = tuple(1 if one in axes else length for one, length in enumerate(array.shape))
        statistics = (np.full(kept, np.nan), np.full(kept, np.nan))
    if array.size == 0:
        return result, statistics

    if array.dtype.kind in "iub":
        array = array.astype(arithmetic)
    target = result if _is_kernel_array(result) else np.empty_like(result, dtype=result_dtype, subok=False)
    if not _is_kernel_array(array) or _spoils(target, array):
        array = array.astype(arguments.native(array.dtype))
    if weight is not None and np.may_share_memory(weight, target):
        weight = weight.copy()
    if bias is not None and np.may_share_memory(bias, target):
        bias = bias.copy()
    y_is_new = target is not out
    _solve(_Problem(array, target, weight, bias, frozenset(axes), statistics, y_is_new, eps, statistic))
    if target is not result:
        result[...] = target
    return result, statistics


def _is_kernel_array(array: Array) -> bool:
    return array.flags.aligned and array.dtype.isnative


def _spoils(y: Array, x: Array) -> bool:
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


def _solve(problem: _Problem) -> None:
    layout = _rows_layout(problem)
    if layout is None and (problem.weight is not None or problem.bias is not None):
        spread = _spread_parameters(problem, problem.reduced)
        layout = _rows_layout(spread)
        problem = problem if layout is None else spread
    if layout is None:
        _solve_dense_copy(problem)
    else:
        _solve_rows(problem, layout)


def _spread_parameters(problem: _Problem, axes: Collection[int]) -> _Problem:
    """Weight and bias that vary over `axes`, and over the others where they did."""
    weight, bias = (
        None
        if one is None
        else np.ascontiguousarray(
            np.broadcast_to(
                one, [problem.x.shape[axis] if axis in axes else length for axis, length in enumerate(one.shape)]
            )
        )
        for one in (problem.weight, problem.bias)
    )
    return problem._replace(weight=weight, bias=bias)


def _rows_layout(problem: _Problem) -> Layout | None:
    """The canonical problem if the rows kernel takes it: statistics over contiguous elements."""
    strides = tuple(
        None
        if array is None
        else tuple(0 if length == 1 else step for length, step in zip(array.shape, array.strides, strict=True))
        for array in problem.operands
    )
    layout = canonical(problem.x.shape, problem.reduced, strides)
    if layout is None:
        return None
    _, outer, _, segments, run = layout.sizes
    if outer > 1 or (segments > 1 and run > 1):
        return None
    for array, steps in zip(problem.operands, layout.strides, strict=True):
        if array is None or steps is None:
            continue
        is_data = array is problem.x or array is problem.y
        if (segments > 1 and steps[3] != array.itemsize) or (run > 1 and is_data and steps[4] != array.itemsize):
            return None
    return layout


def _solve_rows(problem: _Problem, layout: Layout) -> None:
    x, y, weight, bias = (
        None if array is None or steps is None else view(array, layout.sizes, steps)
        for array, steps in zip(problem.operands, layout.strides, strict=True)
    )
    assert x is not None
    assert y is not None
    flat = None if problem.statistics is None else np.empty((2, layout.sizes[0] * layout.sizes[2]))
    rows.normalize(
        x,
        y,
        weight,
        bias,
        None if flat is None else flat[0],
        None if flat is None else flat[1],
        arguments.element_type(problem.x.dtype),
        arguments.element_type(problem.y.dtype),
        problem.eps,
        problem.statistic,
        problem.y_is_new,
    )
    if problem.statistics is not None and flat is not None:
        # The kernel numbers statistics in x's memory order.
        order = [axis for axis in layout.order if axis not in problem.reduced]
        shape = [problem.x.shape[axis] for axis in order]
        for whole, one in zip(problem.statistics, flat, strict=True):
            whole[...] = one.reshape(shape).transpose(np.argsort(order)).reshape(whole.shape)


def _solve_dense_copy(problem: _Problem) -> None:
    """Move the kept axes to the front and the reduced ones to the end, each in x's memory order: rows."""
    x, y, reduced = problem.x, problem.y, problem.reduced
    order = memory_order(x.shape, x.strides)
    order = (*(axis for axis in range(x.ndim) if axis not in order), *order)
    permutation = [*(axis for axis in order if axis not in reduced), *(axis for axis in order if axis in reduced)]
    kept = x.ndim - len(reduced)
    dense_x = np.ascontiguousarray(x.transpose(permutation))
    dense = problem._replace(
        x=dense_x,
        y=np.empty_like(dense_x, dtype=y.dtype),
        weight=None if problem.weight is None else problem.weight.transpose(permutation),
        bias=None if problem.bias is None else problem.bias.transpose(permutation),
        reduced=frozenset(range(kept, x.ndim)),
        y_is_new=True,
        statistics=problem.statistics and tuple(one.transpose(permutation) for one in problem.statistics),  # type: ignore[arg-type]
    )
    # Small if parameters vary over the reduced axes alone; over all axes where batch and keep cannot hold the others.
    for axes in (dense.reduced, range(x.ndim)):
        dense = _spread_parameters(dense, axes)
        layout = _rows_layout(dense)
        if layout is not None:
            break
    assert layout is not None
    _solve_rows(dense, layout)
    y[...] = dense.y.transpose(np.argsort(permutation))
