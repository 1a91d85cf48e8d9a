"""The canonical problem: x[batch, outer, keep, segments, run] from shape, strides and axes. Integers only.

Statistics are taken over (outer, segments, run), one for each (batch, keep); weight and bias may vary over all words
but run. Axes are put in x's memory order, neighbours that belong together become one, what is left is read from the
inside out: a word takes some axes or stays 1. So an array in any axis order, with gaps between its rows, or with
parameters for each sample, is one of a few problems, and no data moves.

Which axes belong to which word depends on x's memory order alone, never on gaps, because the words decide the order of
every sum: a crop must give the bits of its dense copy. Whether an operand can be walked with one stride for each word
is asked afterwards (`word_strides`).

A program meets few shapes, and many times: what takes longer than finding it again is remembered.
"""

import functools
import math
from typing import Any

from numpy.typing import NDArray

WORDS = ("batch", "outer", "keep", "segments", "run")


_remembered = functools.lru_cache(maxsize=1024)


class Layout:
    """The axes of each word, outermost first; axes of length 1 are left out."""

    def __init__(self, words: tuple[tuple[int, ...], ...]) -> None:
        self.words = words

    @property
    def order(self) -> tuple[int, ...]:
        """All axes, outermost first."""
        return sum(self.words, ())

    @_remembered
    def sizes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The five sizes of an array of this shape."""
        return tuple([math.prod([shape[axis] for axis in axes]) for axes in self.words])

    def __repr__(self) -> str:
        return f"Layout({', '.join(f'{word}={axes}' for word, axes in zip(WORDS, self.words, strict=True))})"


@_remembered
def memory_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Axes longer than 1, the largest stride first; as NumPy orders them, so that a copy in order K has the same."""
    return tuple(sorted([axis for axis, n in enumerate(shape) if n != 1], key=lambda axis: -abs(strides[axis])))


def steps(array: NDArray[Any]) -> tuple[int, ...]:
    """Strides of an array in bytes, 0 along axes of length 1."""
    return tuple([0 if n == 1 else stride for n, stride in zip(array.shape, array.strides, strict=True)])


def canonical(
    shape: tuple[int, ...],
    reduced: frozenset[int],
    order: tuple[int, ...],
    parameters: tuple[tuple[int, ...], ...],
) -> Layout | None:
    """Find the words.

    Parameters
    ----------
    shape : tuple of int
        The shape of x; no length is 0.
    reduced : frozenset of int
        The axes that share a statistic.
    order : tuple of int
        x's axes in memory order, those of length 1 left out.
    parameters : tuple of (tuple of int)
        For each parameter its strides along x's axes, 0 where it is broadcast.

    Returns
    -------
    Layout or None
        None where five words do not hold the axes.
    """
    merged: list[tuple[list[int], bool]] = []  # axes, and whether they are reduced, outermost first
    for axis in order:
        if merged and merged[-1][1] == (axis in reduced):
            outer = merged[-1][0][-1]
            # Stepping off the end of the inner axis is a step of the outer one.
            if all(operand[outer] == operand[axis] * shape[axis] for operand in parameters):
                merged[-1][0].append(axis)
                continue
        merged.append(([axis], axis in reduced))

    words: list[tuple[int, ...]] = [()] * 5
    word = 4
    for axes, is_reduced in reversed(merged):
        if word == 4 and is_reduced and any(operand[axes[-1]] != 0 for operand in parameters):
            word = 3  # parameters vary along it: not a run
        while word >= 0 and (word in (1, 3, 4)) != is_reduced:
            word -= 1
        if word < 0:
            return None
        words[word] = tuple(axes)
        word -= 1
    return Layout(tuple(words))


@_remembered
def word_strides(layout: Layout, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...] | None:
    """One stride for each word, or None where some word would need two."""
    result = []
    for axes in layout.words:
        stride, end = 0, None  # of the axes so far, from the inside out, and where they end
        for axis in reversed(axes):
            if shape[axis] == 1:
                continue
            if end is None:
                stride = strides[axis]
            elif strides[axis] != end:
                return None
            end = strides[axis] * shape[axis]
        result.append(stride)
    return tuple(result)
