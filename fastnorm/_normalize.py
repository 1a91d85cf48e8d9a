"""From checked arguments to a kernel call: the result's memory, overlaps, the canonical problem, and its statistics.

One function for every norm that shares statistics over axes; a norm differs only in the axes and the parameters it
passes. What the kernels cannot walk with one stride for each word (crops of two axes, unaligned or byte-swapped data)
is gathered a few statistics at a time into dense scratch in x's own memory order, so that its bits are those of the
dense array.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm._kernels import columns, rows
from fastnorm._kernels.views import (
    CENTERED,
    GIVEN,
    NORM_POWER,
    ROW_OUTER,
    ROW_SIDE,
    ROW_STRETCH,
    SEGMENT,
    WIDE_STRETCH,
    view,
)
from fastnorm._layout import Layout, canonical, memory_order, steps, word_strides
from fastnorm._memory import blocks, dense, dense_steps, empty, is_kernel_array, spoils

Array = NDArray[Any]


class Statistics(NamedTuple):
    """In float64, the reduced axes of length 1; m2 is the sum of squared deviations, or a norm."""

    mean: Array
    rstd: Array
    m2: Array


_NOT_WANTED = Statistics(*[np.full((), np.nan)] * 3)


class _Problem(NamedTuple):
    """Arrays of one shape, and what to do with them; parameters and statistics broadcast against it."""

    x: Array
    y: Array | None  # None: only the statistics are wanted
    weight: Array | None
    bias: Array | None
    reduced: frozenset[int]
    statistics: Statistics | None  # to fill, or (GIVEN) to use
    is_f64: bool
    eps: float
    ddof: int
    statistic: int
    power: float = 0.0  # NORM_POWER: p
    upper: float = np.inf  # EXTREMES: the largest result

    @property
    def itemsize(self) -> int:
        """Of a parameter, in the arithmetic dtype."""
        return 8 if self.is_f64 else 4

    @property
    def parameters(self) -> list[Array]:
        return [array for array in (self.weight, self.bias) if array is not None]


class _Plan(NamedTuple):
    """A kernel and the words it is to see."""

    layout: Layout
    in_columns: bool
    side: int  # outer positions that lie side by side: in one row of columns; in rows all, or 1
    spread: bool = False  # parameters have to be expanded to x's size, which is done for a block at a time

    def layouts(self) -> Iterator[Layout]:
        """The words, and those that number the same statistics with a stride more: rows come to each on its own."""
        yield self.layout
        batch, outer, keep, *rest = self.layout.words
        if not batch and not self.in_columns:
            for place in range(1, len(keep)):
                yield Layout((keep[:place], outer, keep[place:], *rest))


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
) -> tuple[Array, Statistics]:
    """Normalise x over `axis`, then scale and shift."""
    array = arguments.as_input(x)
    axes = arguments.as_axes(axis, array.ndim)
    eps = arguments.as_eps(eps)
    out = arguments.as_output(out, array.shape)
    result_dtype = arguments.as_result_dtype(dtype, out, array)
    arithmetic = arguments.as_arithmetic(array, result_dtype)
    weight = arguments.as_parameter(weight, "weight", array, axes, arithmetic)
    bias = arguments.as_parameter(bias, "bias", array, axes, arithmetic)
    return solve(
        array,
        out,
        result_dtype,
        weight,
        bias,
        frozenset(axes),
        eps=eps,
        statistic=statistic,
        return_stats=return_stats,
    )


def solve(
    x: Array,
    out: Array | None,
    result_dtype: np.dtype[Any],
    weight: Array | None,
    bias: Array | None,
    reduced: frozenset[int],
    *,
    eps: float,
    statistic: int = CENTERED,
    ddof: int = 0,
    given: tuple[Array, Array] | None = None,
    upper: float = np.inf,
    return_stats: bool = True,
) -> tuple[Array, Statistics]:
    """Normalise checked arrays over the axes `reduced`; without `return_stats` the statistics are a single NaN.

    Weight and bias are in the arithmetic dtype, of x's rank, and broadcast against it. `given` holds a mean and a rstd
    to use instead of x's own, in float64, of x's rank.
    A zero-size x gives an empty result and NaN statistics.
    """
    result = np.empty_like(x, dtype=result_dtype, subok=False) if out is None else out
    if given is not None:
        statistic = GIVEN
        statistics = Statistics(given[0], given[1], given[0])
    else:
        statistics = _unknown(x, reduced) if return_stats else _NOT_WANTED
    if x.size == 0:
        return result, statistics
    if given is None and math.prod(x.shape[axis] for axis in reduced) <= ddof:
        result[...] = np.nan
        return result, statistics

    arithmetic = arguments.as_arithmetic(x, result_dtype)
    if x.dtype.kind in "iub":
        x = x.astype(arithmetic)
    target = result if is_kernel_array(result) else np.empty_like(result, dtype=result_dtype, subok=False)
    if spoils(target, x):
        x = x.astype(arguments.native(x.dtype))
    if weight is not None and np.may_share_memory(weight, target):
        weight = weight.copy()
    if bias is not None and np.may_share_memory(bias, target):
        bias = bias.copy()
    is_f64 = arithmetic == np.float64
    filled = statistics if return_stats or given is not None else None
    _solve(_Problem(x, target, weight, bias, reduced, filled, is_f64, eps, ddof, statistic, upper=upper))
    if target is not result:
        result[...] = target
    return result, statistics


def measure(
    x: Array,
    reduced: frozenset[int],
    arithmetic: np.dtype[Any],
    statistic: int = CENTERED,
    *,
    power: float = 0.0,
    level: Array | None = None,
) -> Statistics:
    """Statistics of checked x over the axes `reduced`, which stay with length 1; float64, summed in `arithmetic`.

    m2 holds norms; of NORM_POWER the sum of (|x| / level)^power.
    """
    statistics = _unknown(x, reduced)
    if level is not None:
        statistics = statistics._replace(mean=level)
    if x.size:
        if x.dtype.kind in "iub":
            x = x.astype(np.float64)
        is_f64 = arithmetic == np.float64
        _solve(_Problem(x, None, None, None, reduced, statistics, is_f64, 0.0, 0, statistic, power))
    return statistics


def _unknown(x: Array, reduced: frozenset[int]) -> Statistics:
    kept = [1 if axis in reduced else length for axis, length in enumerate(x.shape)]
    room = np.full((3, *kept), np.nan)
    return Statistics(room[0, ...], room[1, ...], room[2, ...])


def _solve(problem: _Problem) -> None:
    problem, plan = _find_plan(problem)
    if plan.spread or not _call(problem, plan):
        kept = plan.layout.words[0] + plan.layout.words[2]
        for block in blocks(problem.x, kept, least=64 if plan.in_columns else 1):
            _solve_block(problem, plan, block)


def _find_plan(problem: _Problem) -> tuple[_Problem, _Plan]:
    """The words, and the problem with its parameters expanded as far as the words need it."""
    x, reduced = problem.x, problem.reduced
    order = memory_order(x.shape, x.strides)
    suitable = functools.partial(_suitable, x.shape, reduced, problem.statistic == GIVEN, problem.itemsize)
    plan = suitable(tuple([steps(one) for one in problem.parameters]), order)
    if plan:
        return problem, plan
    inner = tuple(itertools.takewhile(reduced.__contains__, reversed(order)))
    # One value for each statistic is cheap, unless parameters vary over what shares one, too.
    varies = any(one.shape[axis] > 1 for one in problem.parameters for axis in reduced)
    kept = () if varies else tuple(axis for axis in order if axis not in reduced)
    for axes in filter(None, (inner, kept, tuple(reduced))):
        spread = _spread_parameters(problem, axes, order)
        plan = suitable(tuple([steps(one) for one in spread.parameters]), order)
        if plan:
            return spread, plan
    dense = dense_steps(x.shape, order, problem.itemsize)
    plan = suitable((dense,) * len(problem.parameters), order)
    if plan:
        return problem, plan._replace(spread=True)
    # More alternations than five words hold: the kept axes go to the front, what shares a statistic to the end.
    kept = tuple(axis for axis in order if axis not in reduced)
    layout = Layout(((), (), kept, tuple(axis for axis in order if axis in reduced), ()))
    # Those that do not vary meet any words, and must stay so: extremes have them in their map.
    return problem, _Plan(layout, in_columns=False, side=1, spread=any(one.size > 1 for one in problem.parameters))


@functools.lru_cache(maxsize=1024)  # a program meets few shapes, and many times
def _suitable(
    shape: tuple[int, ...],
    reduced: frozenset[int],
    is_given: bool,
    itemsize: int,
    parameters: tuple[tuple[int, ...], ...],
    order: tuple[int, ...],
) -> _Plan | None:
    """Words and kernel for parameters of these strides; None where there are none. x alone chooses the kernel."""
    layout = canonical(shape, reduced, order, parameters)
    if layout is None:
        return None
    _, outer, keep, segments, run = layout.sizes(shape)
    stretch = segments * run
    # Parameters alone made this a word of its own: the sums may not know of it, and short stretches would be slow.
    is_cut = outer > 1 and not layout.words[2]
    if is_cut and stretch < ROW_STRETCH:
        return None
    is_tall = outer >= ROW_OUTER and stretch <= WIDE_STRETCH and not is_given
    in_columns = outer > 1 and not is_cut and (stretch < ROW_STRETCH or is_tall)
    if is_given and not in_columns and not layout.words[0]:
        layout = Layout((layout.words[1], (), *layout.words[2:]))  # nothing is summed: walk x as it lies
    found = [word_strides(layout, shape, strides) for strides in parameters]
    by_row = in_columns and any(strides and strides[1] for strides in found)
    for strides in found:
        if strides is None:
            return None
        along_row, along_stretch = strides[2:4]
        if along_stretch and run == 1 and along_stretch != itemsize:
            return None
        if along_stretch and run > 1 and (in_columns or run < SEGMENT):
            return None
        if by_row and along_row not in (0, stretch * itemsize):
            return None
        if by_row and keep > 1 and stretch > 1 and bool(along_row) != bool(along_stretch):
            return None
    side = min(max(ROW_SIDE // (keep * stretch), 1), outer) if in_columns else outer if is_cut else 1
    return _Plan(layout, in_columns, side)


def _spread_parameters(problem: _Problem, axes: tuple[int, ...], order: tuple[int, ...]) -> _Problem:
    """Weight and bias that vary over `axes`, and over the others where they did."""

    def spread(one: Array | None) -> Array | None:
        if one is None:
            return None
        lengths = [problem.x.shape[axis] if axis in axes else length for axis, length in enumerate(one.shape)]
        return dense(np.broadcast_to(one, lengths), order, one.dtype)

    return problem._replace(weight=spread(problem.weight), bias=spread(problem.bias))


def _walk(array: Array, plan: _Plan, layout: Layout, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides of x or y for each word, where the kernel can walk it."""
    strides = word_strides(layout, array.shape, steps(array)) if is_kernel_array(array) else None
    if strides is None:
        return None
    step = array.itemsize
    for word in (4, 3, 2, 1):
        if word < 3 and not (plan.side > 1 or (plan.in_columns and word == 2)):
            break
        if sizes[word] > 1 and strides[word] != step:
            return None
        step *= sizes[word]
    return strides


def _call(problem: _Problem, plan: _Plan) -> bool:
    """Hand the problem to its kernel; False where x or y has to be gathered first."""
    x, y = problem.x, problem.y
    for layout in plan.layouts():
        sizes = layout.sizes(x.shape)
        x_steps, y_steps = _walk(x, plan, layout, sizes), None if y is None else _walk(y, plan, layout, sizes)
        if x_steps is not None and (y is None or y_steps is not None):
            break
    else:
        return False
    kept = layout.words[0] + layout.words[2]
    flat: list[Array | None] = [None, None, None]  # mean, rstd, m2
    if problem.statistic == GIVEN and problem.statistics is not None:
        flat[:2] = [_flat(one, x.shape, kept) for one in problem.statistics[:2]]
    elif problem.statistics is not None:
        flat = [*np.empty((3, sizes[0] * sizes[2]))]
        if problem.statistic == NORM_POWER:
            flat[0] = _flat(problem.statistics.mean, x.shape, kept)
    arithmetic = np.dtype(np.float64 if problem.is_f64 else np.float32)
    operands: tuple[Any, ...] = (
        view(x, sizes, x_steps),
        None if y is None or y_steps is None else view(y, sizes, y_steps),
        _parameter(problem.weight, layout, sizes),
        _parameter(problem.bias, layout, sizes),
        *flat,
        arguments.element_type(x.dtype),
        arguments.element_type(arithmetic if y is None else y.dtype),
        problem.eps,
        problem.ddof,
        problem.statistic,
        problem.power,
        problem.upper,
    )
    if plan.in_columns:
        columns.normalize(plan.side, *operands)
    else:
        rows.normalize(plan.side, *operands)
    if problem.statistics is not None and problem.statistic != GIVEN:
        shape, back = [x.shape[axis] for axis in kept], sorted(range(len(kept)), key=kept.__getitem__)
        for whole, one in zip(problem.statistics, flat, strict=True):
            assert one is not None
            whole[...] = one.reshape(shape).transpose(back).reshape(whole.shape)
    return True


def _parameter(array: Array | None, layout: Layout, sizes: tuple[int, ...]) -> Array | None:
    if array is None:
        return None
    strides = word_strides(layout, array.shape, steps(array))
    assert strides is not None  # _suitable saw to it
    return view(array, sizes, strides)


def _flat(one: Array, shape: tuple[int, ...], kept: tuple[int, ...]) -> Array:
    """Given statistics as the kernels number them."""
    if len(kept) == 1 and one.size == shape[kept[0]]:
        return np.ascontiguousarray(one.reshape(-1), np.float64)
    lengths = [shape[axis] if axis in kept else 1 for axis in range(len(shape))]
    rest = tuple(axis for axis in range(len(shape)) if axis not in kept)
    return np.array(np.broadcast_to(one, lengths).transpose(rest + kept), np.float64, order="C").reshape(-1)


def _solve_block(problem: _Problem, plan: _Plan, block: tuple[slice, ...]) -> None:
    def cut(one: Array) -> Array:
        return one[tuple(slice(None) if length == 1 else part for length, part in zip(one.shape, block, strict=True))]

    part = problem._replace(
        x=problem.x[block],
        y=None if problem.y is None else problem.y[block],
        weight=None if problem.weight is None else cut(problem.weight),
        bias=None if problem.bias is None else cut(problem.bias),
        statistics=None if problem.statistics is None else Statistics(*(cut(one) for one in problem.statistics)),
    )
    order, x, y = plan.layout.order, part.x, part.y
    if plan.spread:
        part = _spread_parameters(part, order, order)
    if _call(part, plan):
        return
    gathered = part._replace(
        x=dense(x, order, arguments.native(x.dtype)),
        y=None if y is None else empty(x.shape, order, arguments.native(y.dtype)),
    )
    called = _call(gathered, plan)
    assert called
    if y is not None:
        y[...] = gathered.y
