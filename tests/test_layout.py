"""`fastnorm._layout` on its own: sizes and strides in, five words out, integers only.

Named cases hold the words that every family of norms is expected to get; a property over random shapes, permutations,
slices and parameters holds that the words visit the same elements in the same order as the axes they came from.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from fastnorm._layout import WORDS, canonical, memory_order

N, C, H, W, G = 3, 6, 5, 4, 2
ITEM = 8  # bytes of a float64


def ask(x, reduced, *parameters):
    """`canonical` for x, a result like it, and parameters that broadcast against it (None: absent)."""
    operands = [x.strides, np.empty_like(x).strides]
    operands += [None if one is None else np.broadcast_to(one, x.shape).strides for one in parameters]
    return canonical(x.shape, frozenset(reduced), tuple(operands))


def sizes(layout):
    return dict(zip(WORDS, layout.sizes, strict=True))


def words(**lengths):
    return {word: lengths.get(word, 1) for word in WORDS}


def nchw():
    return np.empty((N, C, H, W))


def nhwc():
    """Axes in the order N, C, H, W, channels last in memory."""
    return np.empty((N, H, W, C)).transpose(0, 3, 1, 2)


def grouped(x):
    """N, groups, channels of a group, H, W."""
    n, c, h, w = x.strides
    return as_strided(x, (N, G, C // G, H, W), (n, c * C // G, c, h, w))


FAMILIES = {
    "layer norm": (np.empty((N, H, C)), {2}, (C,), words(keep=N * H, segments=C)),
    "layer norm, two axes": (np.empty((N, H, C)), {1, 2}, (H, C), words(keep=N, segments=H * C)),
    "layer norm, all axes": (np.empty((N, H, C)), {0, 1, 2}, (N, H, C), words(segments=N * H * C)),
    "layer norm, no parameters": (np.empty((N, H, C)), {2}, None, words(keep=N * H, run=C)),
    "layer norm, Fortran": (np.empty((C, N), order="F"), {0}, (C, 1), words(keep=N, segments=C)),
    "layer norm, axis 1 of NCHW": (nchw(), {1}, (C, 1, 1), words(batch=N, outer=C, keep=H * W)),
    "layer norm, axis 1, channels last": (nhwc(), {1}, (C, 1, 1), words(keep=N * H * W, segments=C)),
    "layer norm, per-sample parameters": (np.empty((N, H, C)), {2}, (N, 1, C), words(batch=N, keep=H, segments=C)),
    "layer norm, per-position parameters": (np.empty((N, H, C)), {2}, (1, H, C), words(batch=N, keep=H, segments=C)),
    "layer norm, parameters for each row": (np.empty((N, H, C)), {2}, (N, H, 1), words(keep=N * H, run=C)),
    "batch norm, NCHW": (nchw(), {0, 2, 3}, (C, 1, 1), words(outer=N, keep=C, run=H * W)),
    "batch norm, NHWC": (nhwc(), {0, 2, 3}, (C, 1, 1), words(outer=N * H * W, keep=C)),
    "batch norm, (N, C)": (np.empty((N, C)), {0}, (C,), words(outer=N, keep=C)),
    "z-score over axis 0": (np.empty((N, C)), {0}, None, words(outer=N, keep=C)),
    "instance norm, NCHW": (nchw(), {2, 3}, (C, 1, 1), words(batch=N, keep=C, run=H * W)),
    "instance norm, NCHW, no parameters": (nchw(), {2, 3}, None, words(keep=N * C, run=H * W)),
    "instance norm, NHWC": (nhwc(), {2, 3}, (C, 1, 1), words(batch=N, outer=H * W, keep=C)),
    "conditional, NCHW": (nchw(), {2, 3}, (N, C, 1, 1), words(keep=N * C, run=H * W)),
    "conditional, NHWC": (nhwc(), {2, 3}, (N, C, 1, 1), words(batch=N, outer=H * W, keep=C)),
    "group norm, NCHW": (
        grouped(nchw()),
        {2, 3, 4},
        (G, C // G, 1, 1),
        words(batch=N, keep=G, segments=C // G, run=H * W),
    ),
    "group norm, NHWC": (
        grouped(nhwc()),
        {2, 3, 4},
        (G, C // G, 1, 1),
        words(batch=N, outer=H * W, keep=G, segments=C // G),
    ),
    "crop, instance norm": (
        np.empty((N, C, H + 2, W + 2))[:, :, 1:-1, 1:-1],
        {2, 3},
        (C, 1, 1),
        words(batch=N, keep=C, segments=H, run=W),
    ),
    "crop, batch norm": (
        np.empty((N, C, H + 2, W + 2))[:, :, 1:-1, 1:-1],
        {0, 2, 3},
        (C, 1, 1),
        words(outer=N, keep=C, segments=H, run=W),
    ),
    "crop, two axes with parameters": (
        np.empty((N, H + 2, C + 2))[:, 1:-1, 1:-1],
        {1, 2},
        (H, C),
        words(batch=N, outer=H, segments=C),
    ),
    "rows with gaps": (np.empty((N, C + 3))[:, 1:-2], {1}, (C,), words(keep=N, segments=C)),
    "every second row": (np.empty((N, 2 * H, C))[:, ::2], {2}, (C,), words(keep=N * H, segments=C)),
    "length-1 axes": (np.empty((1, N, 1, C, 1)), {2, 3}, (1, C, 1), words(keep=N, segments=C)),
    "one element": (np.empty((1, 1)), {1}, (1,), words()),
    "one long axis": (np.empty((1, C, 1)), {1}, None, words(run=C)),
    "broadcast rows": (np.broadcast_to(np.empty(C), (N, H, C)), {2}, (C,), words(outer=C, keep=N * H)),
    "broadcast columns": (np.broadcast_to(np.empty((N, 1)), (N, C)), {1}, None, words(keep=N, run=C)),
    "reversed rows": (np.empty((N, C))[::-1], {1}, (C,), words(keep=N, segments=C)),
    "reversed twice": (np.empty((N, H, C))[::-1, ::-1], {2}, (C,), words(keep=N * H, segments=C)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_family(family):
    x, reduced, parameter_shape, expected = FAMILIES[family]
    parameter = None if parameter_shape is None else np.empty(parameter_shape)
    strides = (x.strides, x.strides, None if parameter is None else np.broadcast_to(parameter, x.shape).strides, None)
    layout = canonical(x.shape, frozenset(reduced), strides)
    assert layout is not None
    assert sizes(layout) == expected
    assert layout.strides[3] is None


def test_strides_of_each_operand():
    x = np.empty((N, H, C + 2))[:, :, :C]
    weight, bias = np.empty((N, 1, C)), np.empty(C)
    layout = ask(x, {2}, weight, bias)
    assert layout.sizes == (N, 1, H, C, 1)
    gap = (C + 2) * ITEM
    assert layout.strides == (
        (H * gap, 0, gap, ITEM, 0),
        (H * C * ITEM, 0, C * ITEM, ITEM, 0),
        (C * ITEM, 0, 0, ITEM, 0),
        (0, 0, 0, ITEM, 0),
    )
    assert layout.order == (0, 1, 2)


def test_parameters_with_gaps_between_samples_are_a_batch():
    weight = np.empty((N, 2 * C))[:, :C]
    layout = ask(nchw(), {2, 3}, weight[:, :, None, None])
    assert sizes(layout) == words(batch=N, keep=C, run=H * W)
    assert layout.strides[2] == (2 * C * ITEM, 0, ITEM, 0, 0)


def test_a_result_with_gaps_splits_what_x_merges():
    x, y = np.empty((N, H, C)), np.empty((N, H + 1, C))[:, :H]
    layout = canonical(x.shape, frozenset({2}), (x.strides, y.strides))
    assert layout.sizes == (N, 1, H, 1, C)


def test_negative_strides_are_kept():
    x = np.empty((N, C))[:, ::-1]
    layout = canonical(x.shape, frozenset({1}), (x.strides, np.empty((N, C)).strides))
    assert layout.sizes == (1, 1, N, 1, C)
    assert layout.strides == ((0, 0, C * ITEM, 0, -ITEM), (0, 0, C * ITEM, 0, ITEM))


def test_no_reduced_axes_is_one_element_for_each_statistic():
    assert sizes(ask(np.empty((N, C)), ())) == words(keep=N * C)


UNFIT = {
    "axes that alternate": (np.empty((2,) * 6), {1, 3, 5}, None),
    "reduced outside the batch": (np.empty((2,) * 5), {0, 2, 4}, None),
    "parameters over three kept axes": (np.empty((2, 3, 4, 5, 6)), {4}, (2, 1, 4, 1, 1)),
    "crop with parameters over three axes": (np.empty((9, 9, 9, 9))[:, 1:-1, 1:-1, 1:-1], {1, 2, 3}, (7, 7, 7)),
    "kept axes that no stride walks": (np.empty((4, 6, 6, 3))[:, 1:-1, 1:-1], {3}, (4, 4, 4, 1)),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit_is_none(case):
    x, reduced, parameter_shape = UNFIT[case]
    parameter = None if parameter_shape is None else np.empty(parameter_shape)
    assert ask(x, reduced, parameter) is None


ORDERS = {
    "C": (np.empty((2, 3, 4)).strides, (2, 3, 4), (0, 1, 2)),
    "Fortran": (np.empty((2, 3, 4), order="F").strides, (2, 3, 4), (2, 1, 0)),
    "channels last": (nhwc().strides, (N, C, H, W), (0, 2, 3, 1)),
    "negative": ((-8, 24, -72), (3, 3, 2), (2, 1, 0)),
    "length 1 left out": ((8, 1000, 16, 3), (2, 1, 5, 1), (2, 0)),
    "all of length 1": ((8, 8), (1, 1), ()),
    "no axes": ((), (), ()),
    "equal strides keep their place": ((8, 8, 32), (4, 4, 2), (2, 0, 1)),
    "zero goes inside, from outermost": ((0, 32, 8), (5, 2, 4), (1, 2, 0)),
    "zero goes inside, from between": ((32, 0, 8), (2, 5, 4), (0, 2, 1)),
    "zeros stay inside, in their order": ((32, 0, 0), (2, 4, 5), (0, 1, 2)),
}


@pytest.mark.parametrize("case", ORDERS)
def test_memory_order(case):
    strides, shape, expected = ORDERS[case]
    assert memory_order(shape, strides) == expected


def addresses(lengths, strides):
    """The offset in bytes of every element of an array, in its shape."""
    total = np.zeros((), np.int64)
    for length, stride in zip(lengths, strides, strict=True):
        total = np.add.outer(total, np.arange(length) * stride)
    return total


@st.composite
def strided(draw, shape):
    """Strides of an array of this shape: axes in any order in memory, with gaps, steps back, and broadcasts."""
    strides, step = [0] * len(shape), ITEM
    for axis in reversed(draw(st.permutations(range(len(shape))))):
        kind = draw(st.sampled_from(("dense", "dense", "dense", "gap", "back", "broadcast")))
        width = step * 2 if kind == "gap" else step
        strides[axis] = 0 if kind == "broadcast" else -width if kind == "back" else width
        step = step if kind == "broadcast" else width * shape[axis]
    return tuple(strides)


@st.composite
def questions(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)))
    reduced = frozenset(draw(st.sets(st.integers(0, len(shape) - 1))))
    x = draw(strided(shape))
    y = x if draw(st.booleans()) else draw(strided(shape))
    parameters = []
    for _ in range(2):
        varies = [draw(st.booleans()) for _ in shape]
        own = draw(strided(shape)) if draw(st.booleans()) else np.empty(shape).strides
        parameter = tuple(step if one else 0 for step, one in zip(own, varies, strict=True))
        parameters.append(draw(st.sampled_from((None, parameter))))
    return SimpleNamespace(shape=shape, reduced=reduced, strides=(x, y, *parameters))


def walks(question, layout):
    """For each operand two tables, a row for each statistic: the axes' addresses and the words'."""
    left_out = [axis for axis in range(len(question.shape)) if axis not in layout.order]
    by_axes = [
        *(axis for axis in layout.order if axis not in question.reduced),
        *(axis for axis in layout.order if axis in question.reduced),
        *left_out,
    ]
    statistics = layout.sizes[0] * layout.sizes[2]
    for axes_strides, word_strides in zip(question.strides, layout.strides, strict=True):
        assert (axes_strides is None) == (word_strides is None)
        if axes_strides is not None:
            yield (
                addresses(question.shape, axes_strides).transpose(by_axes).reshape(statistics, -1),
                addresses(layout.sizes, word_strides).transpose(0, 2, 1, 3, 4).reshape(statistics, -1),
            )


@settings(max_examples=400, deadline=None)
@given(questions())
def test_words_walk_what_the_axes_walk(question):
    layout = canonical(question.shape, question.reduced, question.strides)
    if layout is None:
        assert sum(length > 1 for length in question.shape) > 2  # two axes always fit: one kept, one reduced, or alike
        return
    assert layout.order == memory_order(question.shape, question.strides[0])
    for by_axes, by_words in walks(question, layout):
        np.testing.assert_array_equal(by_words, by_axes)
    if layout.sizes[4] > 1:
        assert all(steps is None or steps[4] == 0 for steps in layout.strides[2:])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_dense_rows_always_fit(shape, data):
    """Trailing axes with their own parameters, in any memory that has one stride for all rows."""
    first = data.draw(st.integers(0, len(shape) - 1))
    x = np.empty((*shape[:-1], 2 * shape[-1]))[..., : shape[-1]] if first == len(shape) - 1 else np.empty(shape)
    layout = ask(x, range(first, len(shape)), np.empty(shape[first:]), None)
    assert sizes(layout) == words(keep=int(np.prod(shape[:first])), segments=int(np.prod(shape[first:])))
