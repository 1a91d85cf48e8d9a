"""The canonical problem: x[batch, outer, keep, segments, run] from shape, strides and axes. Integers only.

Statistics are taken over (outer, segments, run), one for each (batch, keep); weight and bias may vary over all words
but run. Axes are put in x's memory order, neighbours that one stride can walk (in every operand) become one, what is
left is read from the inside out: a word takes one axis or stays 1. So an array in any axis order, with gaps between its
rows, or with parameters for each sample, is one of a few problems, and no data moves.
"""
cimport cython

WORDS = ("batch", "outer", "keep", "segments", "run")


@cython.final
cdef class Layout:
    """Five sizes, five strides for each operand, and x's axes in memory order."""

    cdef readonly tuple sizes, strides, order

    def __init__(self, tuple sizes, tuple strides, tuple order):
        self.sizes = sizes
        self.strides = strides
        self.order = order

    def __repr__(self):
        sizes = ", ".join(f"{word}={size}" for word, size in zip(WORDS, self.sizes, strict=True))
        return f"Layout({sizes}, strides={self.strides}, order={self.order})"


cpdef tuple memory_order(tuple shape, tuple strides):
    """Axes longer than 1, the largest stride first; as NumPy orders them, so that a copy in order K has the same."""
    cdef list order = []
    cdef Py_ssize_t axis, place, stride, other
    for axis in range(len(shape)):
        if shape[axis] == 1:
            continue
        stride = abs(<Py_ssize_t> strides[axis])
        place = len(order)
        while place > 0:
            other = abs(<Py_ssize_t> strides[order[place - 1]])
            if other >= stride:
                break
            place -= 1
        order.insert(place, axis)
    return tuple(order)


cdef bint is_one_walk(Py_ssize_t outer, Py_ssize_t inner, tuple shape, tuple strides):
    """Whether in every operand stepping off the end of the inner axis is a step of the outer one."""
    for operand in strides:
        if operand is not None and operand[outer] != operand[inner] * shape[inner]:
            return False
    return True


def canonical(tuple shape, frozenset reduced, tuple strides):
    """Find the canonical problem.

    Parameters
    ----------
    shape : tuple of int
        The shape of x; no length is 0.
    reduced : frozenset of int
        The axes that share a statistic.
    strides : tuple of (tuple of int or None)
        For x, y, weight and bias the strides along x's axes, 0 where they are broadcast, or None where one is absent.

    Returns
    -------
    Layout or None
        None where some word would need two strides: then data has to be moved.
    """
    cdef tuple order = memory_order(shape, strides[0])
    cdef list merged = []  # [axis that gives the strides, size, is it reduced], outermost first
    cdef Py_ssize_t axis, size, word
    for axis in order:
        size = shape[axis]
        if merged and merged[-1][2] == (axis in reduced) and is_one_walk(merged[-1][0], axis, shape, strides):
            merged[-1][0] = axis
            merged[-1][1] *= size
        else:
            merged.append([axis, size, axis in reduced])

    axes = [-1] * 5
    sizes = [1] * 5
    word = 4
    for axis, size, is_reduced in reversed(merged):
        if word == 4 and is_reduced and any(
            operand is not None and operand[axis] != 0 for operand in strides[2:]
        ):
            word = 3  # parameters vary along it: not a run
        while word >= 0 and (word in (1, 3, 4)) != is_reduced:
            word -= 1
        if word < 0:
            return None
        axes[word] = axis
        sizes[word] = size
        word -= 1
    return Layout(
        tuple(sizes),
        tuple(
            None if operand is None else tuple([0 if axis < 0 else operand[axis] for axis in axes])
            for operand in strides
        ),
        order,
    )
