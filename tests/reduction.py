"""docs/reduction.md in plain NumPy: rows, columns and merges, from data to the moments of each statistic.

Slow, without a vector or a thread, and written from that page and not from the C code: that it gives the
kernels' bits shows that the page says enough. Where the page writes `fma`, so does this; NumPy rounds all else once.
"""

from typing import NamedTuple

import numpy as np
from reduction_arithmetic import fma, tree, two_sum

FN_PILOT, FN_LEAF, FN_CHUNK = 64, 1024, 64 * 1024
FN_ROW_PILOT, FN_ROW_LEAF, FN_ROW_CHUNK, FN_ROW_GROUP = 16, 128, 2048, 8

MOMENTS, SQUARES, MAGNITUDES, POWERS = "moments", "squares", "magnitudes", "powers"
LARGEST, SMALLEST, RANGE = "largest", "smallest", "range"


class Moments(NamedTuple):
    """Of a statistic, or of many side by side; of a range the smallest and the largest value."""

    count: float
    mean: object
    mean_lo: object
    m2: object


# Rows


def leaf(stretches, sums, c):
    """The moments of a few stretches of at most FN_LEAF elements, [stretch, element]."""
    n, length = stretches.size, stretches.shape[1]
    x = stretches.astype(c.c)
    if sums in (LARGEST, SMALLEST, RANGE):
        return extremes(x.reshape(-1), sums)
    if sums == POWERS:
        return sum_of(float(n), sum(down_lanes(row, c) for row in x))
    width = (4 if sums == SQUARES else 2) * c.lanes
    if sums != MOMENTS:
        lanes = np.zeros(width, c.c)
        for row, used in steps(x, width):
            lanes[:used] = fma(row, row, lanes[:used]) if sums == SQUARES else lanes[:used] + np.abs(row)
        return sum_of(float(n), tree(lanes))

    wide = 2 * width  # of squares
    pilot = min(length, FN_PILOT)
    lanes = np.zeros(width, c.c)
    for row, used in steps(x[:1, :pilot], width):
        lanes[:used] += row
    shift = tree(lanes) * c.c(1 / pilot)
    for _ in range(2):
        first, second = np.zeros(width, c.c), np.zeros(wide, c.c)
        for row, used in steps(x - shift, width):
            first[:used] += row
        for row, used in steps(x - shift, wide):
            second[:used] = fma(row, row, second[:used])
        moments, better = of_sums(float(n), shift, tree(first), tree(second), c)
        if better == shift:
            break
        shift = better
    return moments


def steps(stretches, width):
    """Up to `width` elements at a time, each stretch from lane 0 on."""
    for stretch in stretches:
        for i in range(0, len(stretch), width):
            yield stretch[i : i + width], len(stretch[i : i + width])


def sum_of(n, total):
    """The moments of a sum that has no mean."""
    zero = np.zeros(np.shape(total))[()]
    return Moments(n, zero, zero, np.float64(total))


def down_lanes(x, c):
    """The sum over axis 0 in one vector of lanes."""
    lanes = np.zeros((c.lanes, *x.shape[1:]), c.c)
    for i in range(0, len(x), c.lanes):
        row = x[i : i + c.lanes]
        lanes[: len(row)] += row
    return tree(lanes)


def of_sums(n, shift, first, second, c):
    """The moments of sums about a shift, and the shift to sum again about: the same where that is good enough."""
    total, square = np.float64(first), np.float64(second)
    step = total * (1 / n)
    explained = total * step
    better = np.where(explained > 0.5 * square, (np.float64(shift) + step).astype(c.c), shift)
    m2 = square - explained
    mean, mean_lo = two_sum(np.float64(shift), step)
    return Moments(n, mean, mean_lo, np.where(m2 < 0, 0.0, m2)), better


def extremes(x, sums):
    """Of axis 0, which has no order; of a range without NaN."""
    if sums == RANGE:
        low, high = np.float64(np.fmin.reduce(x)), np.float64(np.fmax.reduce(x))
        none = np.isnan(low)
        return Moments(len(x), np.where(none, np.inf, low), 0.0, np.where(none, -np.inf, high))
    magnitude = np.abs(x).astype(np.float64)
    return Moments(len(x), 0.0, 0.0, magnitude.max(axis=0) if sums == LARGEST else magnitude.min(axis=0))


def merge(a, b, sums):
    """The moments of both."""
    count = a.count + b.count
    if sums == RANGE:
        return Moments(count, np.minimum(a.mean, b.mean), 0.0, np.maximum(a.m2, b.m2))
    if sums in (LARGEST, SMALLEST):
        return Moments(count, 0.0, 0.0, (np.maximum if sums == LARGEST else np.minimum)(a.m2, b.m2))
    if sums != MOMENTS:
        return Moments(count, a.mean, a.mean_lo, a.m2 + b.m2)
    w = b.count / count
    delta = (b.mean - a.mean) + (b.mean_lo - a.mean_lo)
    mean, lost = two_sum(a.mean, delta * w)
    return Moments(count, mean, a.mean_lo + lost, (a.m2 + b.m2) + (delta * delta) * (a.count * w))


def merged(parts, sums):
    """All of them, from the left."""
    parts = iter(parts)
    total = next(parts)
    for one in parts:
        total = merge(total, one, sums)
    return total


def rows(x, sums, c):
    """The moments of one statistic, x[outer, stretch]."""
    return merged((merged(leaves_of(piece, sums, c), sums) for piece in pieces(x)), sums)


def leaves_of(stretches, sums, c):
    """In order: a few whole stretches each, or a part of one."""
    length = stretches.shape[1]
    together = max(FN_LEAF // length, 1)
    for k in range(0, len(stretches), together):
        for i in range(0, length, FN_LEAF):
            yield leaf(stretches[k : k + together, i : i + FN_LEAF], sums, c)


def pieces(x):
    """In order: many whole stretches each, or a part of one."""
    length = x.shape[1]
    together = max(FN_LEAF // length, 1)
    many = FN_CHUNK // (together * length) * together if length < FN_CHUNK else 1
    for k in range(0, len(x), many):
        for i in range(0, length, FN_CHUNK):
            yield x[k : k + many, i : i + FN_CHUNK]


# Columns


def columns(x, side, sums, c):
    """The moments of one batch index, x[outer, keep, stretch]: [keep] each."""
    outer, keep, stretch = x.shape
    whole = outer // side * side
    parts = list(side_by_side(down(x[:whole].reshape(whole // side, -1), sums, c), side, keep, stretch))
    if whole < outer:
        parts += side_by_side(down(x[whole:].reshape(outer - whole, -1), sums, c), 1, keep, stretch)
    return merged(parts, sums)


def side_by_side(moments, side, keep, stretch):
    """The moments of the columns that statistics are merged from, in that order."""

    def cut(one):
        return np.broadcast_to(one, side * keep * stretch).reshape(side, keep, stretch).transpose(0, 2, 1)

    mean, mean_lo, m2 = (cut(one).reshape(side * stretch, keep) for one in moments[1:])
    return [Moments(moments.count, mean[i], mean_lo[i], m2[i]) for i in range(side * stretch)]


def down(x, sums, c):
    """The moments of the columns of x[row, column]."""
    if sums in (LARGEST, SMALLEST, RANGE):
        return extremes(x.astype(c.c), sums)
    return merged((chunk(x[r : r + FN_ROW_CHUNK].astype(c.c), sums, c) for r in range(0, len(x), FN_ROW_CHUNK)), sums)


def chunk(x, sums, c):
    """The moments of the columns of up to FN_ROW_CHUNK rows."""
    if sums == POWERS:
        return sum_of(float(len(x)), sum(down_lanes(x[r : r + FN_LEAF], c) for r in range(0, len(x), FN_LEAF)))
    total = None
    for r in range(0, len(x), FN_ROW_LEAF):
        part = x[r : r + FN_ROW_LEAF]
        if sums != MOMENTS:
            found = sum_rows(part, sums)
        else:
            if total is None:
                pilot = part[:FN_ROW_PILOT]
                shift = np.zeros(x.shape[1], c.c)
                for row in pilot:
                    shift = shift + row
                shift = shift * c.c(1 / len(pilot))
            else:
                shift = total.mean.astype(c.c)
            found, better = of_sums(float(len(part)), shift, *sum_groups(part - shift), c)
            if (better != shift).any():
                found, _ = of_sums(float(len(part)), better, *sum_groups(part - better), c)
        total = found if total is None else merge(total, found, sums)
    return total


def sum_groups(d):
    """Sums and sums of squares down the columns, a group of rows as a tree."""
    missing = -len(d) % FN_ROW_GROUP
    groups = np.concatenate([d, np.zeros((missing, d.shape[1]), d.dtype)]).reshape(-1, 2, 4, d.shape[1])
    four = (groups[:, :, 0] + groups[:, :, 1]) + (groups[:, :, 2] + groups[:, :, 3])
    squares = np.zeros_like(four)
    for i in range(4):
        squares = fma(groups[:, :, i], groups[:, :, i], squares)
    total, square = np.zeros((2, d.shape[1]), d.dtype)
    for low, high in zip(four[:, 0], four[:, 1], strict=True):
        total = total + (low + high)
    for low, high in zip(squares[:, 0], squares[:, 1], strict=True):
        square = square + (low + high)
    return total, square


def sum_rows(x, sums):
    """The sums that have no mean, down the columns."""
    if sums == SQUARES:
        return sum_of(float(len(x)), sum_groups(x)[1])
    total = np.zeros_like(x[0])
    for r in range(0, len(x), FN_ROW_GROUP):
        group = np.zeros_like(total)
        for row in x[r : r + FN_ROW_GROUP]:
            group = group + np.abs(row)
        total = total + group
    return sum_of(float(len(x)), total)
