"""The canonical problem: x[batch, outer, keep, segments, run] from shape, strides and axes. Integers only.

Statistics are taken over (outer, segments, run), one for each (batch, keep); weight and bias may vary over all words
but run. Axes are put in x's memory order, neighbours that belong together become one, what is left is read from the
inside out: a word takes some axes or stays 1. So an array in any axis order, with gaps between its rows, or with
parameters for each sample, is one of a few problems, and no data moves.

Which axes belong to which word depends on x's memory order alone, never on gaps, because the words decide the order of
every sum: a crop must give the bits of its dense copy. Whether an operand can be walked with one stride for each word
is asked afterwards (`word_strides`).
"""
cimport cython

WORDS = ("batch", "outer", "keep", "segments", "run")


@cython.final
cdef class Layout:
    """The axes of each word, outermost first; axes of length 1 are left out."""

    cdef readonly tuple words

    def __init__(self, tuple words):
        self.words = words

    @property
    def order(self):
        """All axes, outermost first."""
        return tuple([axis for axes in self.words for axis in axes])

    def sizes(self, tuple shape):
        """The five sizes of an array of this shape."""
        cdef list sizes = []
        cdef Py_ssize_t size
        for axes in self.words:
            size = 1
            for axis in axes:
                size *= <Py_ssize_t> shape[axis]
            sizes.append(size)
        return tuple(sizes)

    def __repr__(self):
        return f"Layout({', '.join(f'{word}={axes}' for word, axes in zip(WORDS, self.words, strict=True))})"


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


def steps(object array):
    """Strides of an array in bytes, 0 along axes of length 1."""
    cdef tuple shape = array.shape, strides = array.strides
    cdef list result = []
    cdef Py_ssize_t axis
    for axis in range(len(shape)):
        result.append(0 if shape[axis] == 1 else strides[axis])
    return tuple(result)


cdef bint is_one_walk(Py_ssize_t outer, Py_ssize_t inner, tuple shape, tuple strides):
    """Whether in every operand stepping off the end of the inner axis is a step of the outer one."""
    for operand in strides:
        if operand[outer] != operand[inner] * shape[inner]:
            return False
    return True


def canonical(tuple shape, frozenset reduced, tuple order, tuple parameters):
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
    cdef list merged = []  # [axes, are they reduced], outermost first
    cdef Py_ssize_t axis, word
    for axis in order:
        if (
            merged
            and merged[-1][1] == (axis in reduced)
            and is_one_walk(merged[-1][0][-1], axis, shape, parameters)
        ):
            merged[-1][0].append(axis)
        else:
            merged.append([[axis], axis in reduced])

    words = [()] * 5
    word = 4
    for axes, is_reduced in reversed(merged):
        if word == 4 and is_reduced and any([operand[axes[-1]] != 0 for operand in parameters]):
            word = 3  # parameters vary along it: not a run
        while word >= 0 and (word in (1, 3, 4)) != is_reduced:
            word -= 1
        if word < 0:
            return None
        words[word] = tuple(axes)
        word -= 1
    return Layout(tuple(words))


def word_strides(Layout layout, tuple shape, tuple strides):
    """One stride for each word, or None where some word would need two."""
    cdef list result = []
    cdef Py_ssize_t stride, inner
    for axes in layout.words:
        stride = 0
        inner = -1
        for axis in reversed(axes):
            if shape[axis] == 1:
                continue
            if inner < 0:
                stride = strides[axis]
            elif strides[axis] != strides[inner] * shape[inner]:
                return None
            inner = axis
        result.append(stride)
    return tuple(result)
