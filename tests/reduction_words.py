"""docs/reduction.md in plain Python: which axes are which word, rows or columns, and when weight and bias are folded.

Integers only, from shapes and strides.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

FN_ROW_STRETCH, FN_SEGMENT, FN_ROW_SIDE = 32, 16, 64
FN_ROW_OUTER, FN_WIDE_STRETCH = 192, 512

BATCH, OUTER, KEEP, SEGMENTS, RUN = range(5)


class Plan(NamedTuple):
    """How a problem is walked."""

    words: tuple  # the axes of each, outermost first
    in_columns: bool
    side: int
    after: bool  # weight and bias meet the results, not the map


def memory_order(x):
    """Axes longer than 1, outermost first."""
    return sorted((axis for axis in range(x.ndim) if x.shape[axis] > 1), key=lambda axis: -abs(x.strides[axis]))


def make_plan(x, reduced, parameters, c):
    """The plan of x; parameters are of its rank, in C."""
    order = memory_order(x)
    strides = [[0 if n == 1 else step for n, step in zip(p.shape, p.strides, strict=True)] for p in parameters]
    varies_within = any(any(one[axis] for axis in reduced) for one in strides)
    inner = list(itertools.takewhile(reduced.__contains__, reversed(order)))
    kept = [] if varies_within else [axis for axis in order if axis not in reduced]
    for more in ([], inner, kept, reduced, None):
        if more is None:
            lengths = [x.shape] * len(parameters)
        else:
            lengths = [[x.shape[a] if a in more else p.shape[a] for a in range(x.ndim)] for p in parameters]
        expanded = [dense(one, order, c) for one in lengths] if more != [] else strides
        plan = fitting(x.shape, order, reduced, expanded, np.dtype(c.c).itemsize)
        if plan:
            return plan
    words = (), (), tuple(a for a in order if a not in reduced), tuple(a for a in order if a in reduced), ()
    return Plan(words, in_columns=False, side=1, after=any(p.size > 1 for p in parameters))


def dense(shape, order, c):
    """The strides of a parameter without gaps, in this order; 0 along axes of length 1."""
    strides, step = [0] * len(shape), np.dtype(c.c).itemsize
    for axis in reversed(order):
        if shape[axis] > 1:
            strides[axis] = step
            step *= shape[axis]
    return strides


def fitting(shape, order, reduced, parameters, itemsize):
    """The plan for parameters of these strides, or None."""
    words = find_words(shape, order, reduced, parameters)
    if words is None:
        return None
    _, outer, keep, segments, run = (math.prod(shape[axis] for axis in axes) for axes in words)
    stretch = segments * run
    is_cut = outer > 1 and not words[KEEP]  # by parameters: the sums do not see it
    if is_cut and stretch < FN_ROW_STRETCH:
        return None
    is_tall = outer >= FN_ROW_OUTER and stretch <= FN_WIDE_STRETCH
    in_columns = outer > 1 and not is_cut and (stretch < FN_ROW_STRETCH or is_tall)
    along = [[one[axes[-1]] if axes else 0 for axes in words] for one in parameters]
    by_row = in_columns and any(one[OUTER] for one in along)
    for one in along:
        if one[SEGMENTS] and (run < FN_SEGMENT or in_columns if run > 1 else one[SEGMENTS] != itemsize):
            return None
        if by_row and one[KEEP] not in (0, stretch * itemsize):
            return None
        if by_row and keep > 1 and stretch > 1 and bool(one[KEEP]) != bool(one[SEGMENTS]):
            return None
    after = by_row if in_columns else run == 1 and any(one[SEGMENTS] for one in along)
    side = min(max(FN_ROW_SIDE // (keep * stretch), 1), outer) if in_columns else 1
    if is_cut:
        words = words[BATCH], (), (), words[OUTER] + words[SEGMENTS], words[RUN]
    return Plan(words, in_columns, side, after)


def find_words(shape, order, reduced, parameters):
    """The axes of each word, or None where there are more groups than words."""
    groups = []
    for axis in order:
        last = groups[-1][-1] if groups else None
        if (
            groups
            and (last in reduced) == (axis in reduced)
            and all(p[last] == p[axis] * shape[axis] for p in parameters)
        ):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    words, word = [()] * 5, RUN
    for axes in reversed(groups):
        is_reduced = axes[0] in reduced
        if word == RUN and is_reduced and any(one[axes[-1]] for one in parameters):
            word = SEGMENTS
        while word >= BATCH and (word in (OUTER, SEGMENTS, RUN)) != is_reduced:
            word -= 1
        if word < BATCH:
            return None
        words[word] = tuple(axes)
        word -= 1
    return tuple(words)


def as_words(x, words):
    """x[batch, outer, keep, stretch]."""
    axes = [*words[:SEGMENTS], words[SEGMENTS] + words[RUN]]
    order = [axis for one in axes for axis in one]
    rest = [axis for axis in range(x.ndim) if axis not in order]
    return x.transpose(order + rest).reshape([math.prod(x.shape[axis] for axis in one) for one in axes])


def from_words(y, words, shape):
    """Back to x's shape; of statistics, to x's shape without the lengths of what they are taken over."""
    order = [axis for one in words for axis in one]
    rest = [axis for axis in range(len(shape)) if axis not in order]
    return y.reshape([shape[axis] for axis in order + rest]).transpose(np.argsort(order + rest))
