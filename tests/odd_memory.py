"""Arrays in memory of every kind, drawn at random, and which bytes of it are theirs."""

import random

import numpy as np

GAP = 0xAB  # what the bytes around an array hold


class Chance:
    """Where choices come from. The tests have another one, that draws by hypothesis."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def number(self, low, high):
        return self._random.randint(low, high)

    def choice(self, values):
        return values[self.number(0, len(values) - 1)]

    def once_in(self, n):
        """The last of n numbers is the odd one: hypothesis' simplest example, of zeros, has nothing odd."""
        return self.number(0, n - 1) == n - 1


class Sub(np.ndarray):
    """A subclass that adds nothing."""


def below(array):
    """How many bytes before an array's first element its lowest address lies."""
    return -sum(step * max(n - 1, 0) for step, n in zip(array.strides, array.shape, strict=True) if step < 0)


def lay(chance, values, dtype, *, written=False):
    """An array of these values, with steps back, gaps, broadcast or overlapping axes, unaligned, swapped; its memory.

    One that is written has each element apart, but for a few.
    """
    order, step, strides = list(range(values.ndim)), dtype.itemsize, [0] * values.ndim
    is_odd = chance.once_in(2)
    kinds = ["plain", "plain", "gap", "back"]
    if not written or chance.once_in(4):
        kinds += ["zero", "overlap"]
    for place in range(values.ndim if is_odd else 0):
        other = chance.number(place, values.ndim - 1)
        order[place], order[other] = order[other], order[place]
    for axis in reversed(order):
        kind = chance.choice(kinds) if is_odd else "plain"
        strides[axis] = {"back": -step, "zero": 0, "overlap": dtype.itemsize}.get(kind, step)
        if kind not in ("zero", "overlap"):
            step *= max(values.shape[axis], 1) + (kind == "gap")
    if dtype.name != "bfloat16" and is_odd and chance.once_in(4):
        dtype = dtype.newbyteorder()
    reach = [step * max(n - 1, 0) for step, n in zip(strides, values.shape, strict=True)]
    memory = np.full(sum(map(abs, reach)) + 64, GAP, np.uint8)
    start = chance.choice([0, 8, 8, 1])  # from an odd address: unaligned
    array = np.ndarray(values.shape, dtype, memory, start - sum(one for one in reach if one < 0), strides)
    with np.errstate(all="ignore"):
        array[...] = values.astype(dtype)
    return array, memory


def marked(memory, arrays):
    """1 for each byte of some memory that belongs to one of the arrays, 0 for the others."""
    marks = np.zeros(memory.size, np.uint8)
    for one in arrays:
        if one.size and np.may_share_memory(one, memory):
            start = one.ctypes.data - memory.ctypes.data
            np.ndarray((*one.shape, one.itemsize), np.uint8, marks, start, (*one.strides, 1))[...] = 1
    return marks


def overlaps_itself(array):
    """Whether two elements share a byte."""
    if not array.size:
        return False
    span = sum(abs(step) * (n - 1) for step, n in zip(array.strides, array.shape, strict=True)) + array.itemsize
    own = np.zeros(span, np.uint8)
    np.ndarray((*array.shape, array.itemsize), np.uint8, own, below(array), (*array.strides, 1))[...] = 1
    return np.count_nonzero(own) != array.nbytes
