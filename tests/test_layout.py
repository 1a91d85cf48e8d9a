"""`fastnorm._layout` on its own: shapes and strides in, the axes of five words out, integers only.

Named cases hold the words that every family of norms is expected to get; properties over random shapes, permutations,
slices and parameters hold that the words visit the elements in memory order, that an operand has one stride for each
word exactly where a search over its addresses finds one, and that x's gaps change none of it.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnorm._layout import WORDS, Layout, canonical, memory_order, word_strides

N, C, H, W, G = 3, 6, 5, 4, 2
ITEM = 8  # bytes of a float64


def steps(array):
    """Strides as the library passes them: 0 along axes of length 1, which are never walked."""
    return tuple(0 if length == 1 else step for length, step in zip(array.shape, array.strides, strict=True))


def ask(x, reduced, *parameters):
    """`canonical` for x and parameters that broadcast against it (None: absent)."""
    given = tuple(steps(np.broadcast_to(one, x.shape)) for one in parameters if one is not None)
    return canonical(x.shape, frozenset(reduced), memory_order(x.shape, x.strides), given)


def words(**lengths):
    return {word: lengths.get(word, 1) for word in WORDS}


def sizes(layout, x):
    return dict(zip(WORDS, layout.sizes(x.shape), strict=True))


def nchw():
    return np.empty((N, C, H, W))


def nhwc():
    """Axes in the order N, C, H, W, channels last in memory."""
    return np.empty((N, H, W, C)).transpose(0, 3, 1, 2)


def grouped(x):
    """N, groups, channels of a group, H, W."""
    return x.reshape(N, G, C // G, H, W)


def crop(x):
    """The middle of the last two axes of a larger array in the same memory order."""
    order = np.argsort([-step for step in x.strides], kind="stable")
    shape = [n + 2 if axis >= x.ndim - 2 else n for axis, n in enumerate(x.shape)]
    big = np.empty([shape[axis] for axis in order]).transpose(np.argsort(order))
    return big[..., 1:-1, 1:-1]


ROWS = np.empty((N, H, C))
FAMILIES = {
    "layer norm": (ROWS, {2}, (C,), words(keep=N * H, segments=C)),
    "layer norm, two axes": (ROWS, {1, 2}, (H, C), words(keep=N, segments=H * C)),
    "layer norm, all axes": (ROWS, {0, 1, 2}, (N, H, C), words(segments=N * H * C)),
    "layer norm, no parameters": (ROWS, {2}, None, words(keep=N * H, run=C)),
    "layer norm, one number": (ROWS, {2}, (1,), words(keep=N * H, run=C)),
    "layer norm, Fortran": (np.empty((C, N), order="F"), {0}, (C, 1), words(keep=N, segments=C)),
    "layer norm, first axis": (np.empty((C, N)), {0}, (C, 1), words(outer=C, keep=N)),
    "layer norm, axis 1 of NCHW": (nchw(), {1}, (C, 1, 1), words(batch=N, outer=C, keep=H * W)),
    "layer norm, axis 1, channels last": (nhwc(), {1}, (C, 1, 1), words(keep=N * H * W, segments=C)),
    "layer norm, per-sample parameters": (ROWS, {2}, (N, 1, C), words(batch=N, keep=H, segments=C)),
    "layer norm, per-position parameters": (ROWS, {2}, (1, H, C), words(batch=N, keep=H, segments=C)),
    "layer norm, parameters for each row": (ROWS, {2}, (N, H, 1), words(keep=N * H, run=C)),
    "batch norm, NCHW": (nchw(), {0, 2, 3}, (C, 1, 1), words(outer=N, keep=C, run=H * W)),
    "batch norm, one sample": (nchw()[:1], {0, 2, 3}, (C, 1, 1), words(keep=C, run=H * W)),
    "batch norm, one channel": (nchw()[:, :1], {0, 2, 3}, (1, 1, 1), words(run=N * H * W)),
    "batch norm, NHWC": (nhwc(), {0, 2, 3}, (C, 1, 1), words(outer=N * H * W, keep=C)),
    "batch norm, NCDHW": (np.empty((N, C, 2, H, W)), {0, 2, 3, 4}, None, words(outer=N, keep=C, run=2 * H * W)),
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
    "group norm, NHWC, no parameters": (
        grouped(nhwc()),
        {2, 3, 4},
        None,
        words(batch=N, outer=H * W, keep=G, run=C // G),
    ),
    "crop, instance norm": (crop(nchw()), {2, 3}, (C, 1, 1), words(batch=N, keep=C, run=H * W)),
    "crop, batch norm": (crop(nchw()), {0, 2, 3}, (C, 1, 1), words(outer=N, keep=C, run=H * W)),
    "crop, batch norm, NHWC": (crop(nhwc()), {0, 2, 3}, (C, 1, 1), words(outer=N * H * W, keep=C)),
    "crop, two axes with parameters": (crop(ROWS), {1, 2}, (H, C), words(keep=N, segments=H * C)),
    "rows with gaps": (np.empty((N, C + 3))[:, 1:-2], {1}, (C,), words(keep=N, segments=C)),
    "every second row": (np.empty((N, 2 * H, C))[:, ::2], {2}, (C,), words(keep=N * H, segments=C)),
    "length-1 axes": (np.empty((1, N, 1, C, 1)), {2, 3}, (1, C, 1), words(keep=N, segments=C)),
    "one element": (np.empty((1, 1)), {1}, (1,), words()),
    "one long axis": (np.empty((1, C, 1)), {1}, None, words(run=C)),
    "no reduced axes": (np.empty((N, C)), (), None, words(keep=N * C)),
    "broadcast rows": (np.broadcast_to(np.empty(C), (N, H, C)), {2}, (C,), words(outer=C, keep=N * H)),
    "broadcast columns": (np.broadcast_to(np.empty((N, 1)), (N, C)), {1}, None, words(keep=N, run=C)),
    "reversed twice": (np.empty((N, H, C))[::-1, ::-1], {2}, (C,), words(keep=N * H, segments=C)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_family(family):
    x, reduced, parameter_shape, expected = FAMILIES[family]
    layout = ask(x, reduced, None if parameter_shape is None else np.empty(parameter_shape))
    assert sizes(layout, x) == expected
    assert layout.order == memory_order(x.shape, x.strides)


def test_axes_of_each_word():
    layout = ask(grouped(nhwc()), {2, 3, 4}, np.empty((G, C // G, 1, 1)))
    assert layout.words == ((0,), (3, 4), (1,), (2,), ())
    assert layout.order == (0, 3, 4, 1, 2)
    assert repr(layout) == "Layout(batch=(0,), outer=(3, 4), keep=(1,), segments=(2,), run=())"


def test_sizes_are_those_of_the_shape_that_is_asked():
    """A layout is of axes, so that it serves parts of x, too."""
    layout = ask(nchw(), {2, 3}, np.empty((C, 1, 1)))
    assert layout.sizes((N, C, H, W)) == (N, 1, C, 1, H * W)
    assert layout.sizes((1, 2, H, W)) == (1, 1, 2, 1, H * W)


# Memory of shape (N, C, H, W), and the strides that the words of an instance norm have in it.
OPERANDS = {
    "dense": (nchw(), (C * H * W, 0, H * W, 0, 1)),
    "gaps between samples": (np.empty((2 * N, C, H, W))[::2], (2 * C * H * W, 0, H * W, 0, 1)),
    "gaps between channels": (np.empty((N, C, H + 1, W))[:, :, :-1], (C * (H + 1) * W, 0, (H + 1) * W, 0, 1)),
    "every second element": (np.empty((N, C, H, 2 * W))[..., ::2], (2 * C * H * W, 0, 2 * H * W, 0, 2)),
    "samples reversed": (nchw()[::-1], (-C * H * W, 0, H * W, 0, 1)),
    "planes reversed": (nchw()[:, :, ::-1, ::-1], (C * H * W, 0, H * W, 0, -1)),
    "columns reversed": (nchw()[..., ::-1], None),
    "crop": (crop(nchw()), None),
    "channels last": (nhwc(), (C * H * W, 0, 1, 0, C)),
    "Fortran": (np.empty((N, C, H, W), order="F"), None),
    "for each channel": (np.broadcast_to(np.empty((C, 1, 1)), (N, C, H, W)), (0, 0, 1, 0, 0)),
    "for each row": (np.broadcast_to(np.empty((H, 1)), (N, C, H, W)), None),
    "for each column": (np.broadcast_to(np.empty(W), (N, C, H, W)), None),
    "one number": (np.broadcast_to(np.empty(()), (N, C, H, W)), (0, 0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", OPERANDS)
def test_strides_of_an_operand(name):
    layout = ask(nchw(), {2, 3}, np.empty((C, 1, 1)))
    operand, expected = OPERANDS[name]
    found = word_strides(layout, operand.shape, operand.strides)
    assert found == (None if expected is None else tuple(ITEM * step for step in expected))


def test_strides_along_axes_of_length_1_do_not_count():
    """A parameter's own shape: an axis along which it does not vary has length 1 and any stride."""
    layout = ask(nchw(), {2, 3}, None)
    assert layout.words == ((), (), (0, 1), (), (2, 3))
    assert word_strides(layout, (N, C, 1, 1), (C * ITEM, ITEM, 777, -3)) == (0, 0, ITEM, 0, 0)
    assert word_strides(layout, (N, 1, 1, 1), (ITEM, 777, 777, 777)) == (0, 0, ITEM, 0, 0)
    assert word_strides(layout, (1, C, 1, 1), (777, ITEM, 777, 777)) == (0, 0, ITEM, 0, 0)


UNFIT = {
    "axes that alternate": (np.empty((2,) * 6), {1, 3, 5}, None),
    "reduced outside the batch": (np.empty((2,) * 5), {0, 2, 4}, None),
    "parameters over three kept axes": (np.empty((2, 3, 4, 5, 6)), {4}, (2, 1, 4, 1, 1)),
    "parameters of some reduced axes": (np.empty((2, 3, 4, 5)), {0, 1, 2, 3}, (2, 1, 4, 1)),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit_is_none(case):
    x, reduced, parameter_shape = UNFIT[case]
    assert ask(x, reduced, None if parameter_shape is None else np.empty(parameter_shape)) is None


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


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=6).map(tuple)


@st.composite
def questions(draw):
    """A shape, its reduced axes, strides of x, and strides along which parameters vary."""
    shape = draw(SHAPES)
    parameters = []
    for _ in range(draw(st.integers(0, 2))):
        own = draw(strided(shape))
        varies = [draw(st.booleans()) and length > 1 for length in shape]
        parameters.append(tuple(step if one else 0 for step, one in zip(own, varies, strict=True)))
    return SimpleNamespace(
        shape=shape,
        reduced=frozenset(draw(st.sets(st.integers(0, len(shape) - 1)))),
        x=draw(strided(shape)),
        parameters=tuple(parameters),
    )


def answer(question):
    order = memory_order(question.shape, question.x)
    return canonical(question.shape, question.reduced, order, question.parameters)


def by_words(layout, question, strides):
    """The addresses of an operand, its axes in the order of the words and merged to them."""
    left_out = [axis for axis in range(len(question.shape)) if axis not in layout.order]
    table = addresses(question.shape, strides).transpose([*left_out, *layout.order])
    return table.reshape(layout.sizes(question.shape))


def one_stride_each(table):
    """The strides of a table of addresses, or None where they are not linear along some axis."""
    found = []
    for axis in range(table.ndim):
        gaps = np.unique(np.diff(table, axis=axis))
        if gaps.size > 1:
            return None
        found.append(int(gaps[0]) if gaps.size else 0)
    return tuple(found)


@settings(max_examples=150)
@given(questions())
def test_words_hold_the_axes_in_memory_order(question):
    layout = answer(question)
    if layout is None:
        assert sum(length > 1 for length in question.shape) > 2  # two axes always fit: one kept, one reduced, or alike
        return
    assert layout.order == memory_order(question.shape, question.x)
    for word, axes in zip(WORDS, layout.words, strict=True):
        assert all((axis in question.reduced) == (word in ("outer", "segments", "run")) for axis in axes)
    assert math.prod(layout.sizes(question.shape)) == math.prod(question.shape)


@settings(max_examples=150)
@given(questions())
def test_parameters_have_one_stride_for_each_word_and_none_along_a_run(question):
    layout = answer(question)
    if layout is None:
        return
    for strides in question.parameters:
        found = word_strides(layout, question.shape, strides)
        np.testing.assert_array_equal(
            addresses(layout.sizes(question.shape), found), by_words(layout, question, strides)
        )
        assert found[WORDS.index("run")] == 0


@settings(max_examples=150)
@given(questions(), st.data())
def test_strides_are_found_exactly_where_there_are_some(question, data):
    """Any operand of x's shape, x and the result among them."""
    layout = answer(question)
    if layout is None:
        return
    for strides in (question.x, data.draw(strided(question.shape))):
        expected = one_stride_each(by_words(layout, question, strides))
        assert word_strides(layout, question.shape, strides) == expected


@settings(max_examples=150)
@given(questions(), st.integers(1, 3))
def test_gaps_change_no_words(question, gap):
    """A crop must be summed in the order of its dense copy, so only the order of x's strides may count."""
    order = memory_order(question.shape, question.x)
    dense, step = [ITEM] * len(question.shape), ITEM
    for axis in reversed(order):
        dense[axis] = -step if axis % 2 else step
        step *= question.shape[axis] + gap
    spread = SimpleNamespace(**{**vars(question), "x": tuple(dense)})
    layout, again = answer(question), answer(spread)
    assert (layout and layout.words) == (again and again.words)


@given(SHAPES.flatmap(lambda shape: st.tuples(st.just(shape), strided(shape))))
def test_memory_order_is_that_of_a_copy_in_order_k(case):
    """Also of broadcast axes, and of axes with equal strides: unaligned input is copied before the order is asked."""
    shape, strides = case
    first = -sum(step * (length - 1) for step, length in zip(strides, shape, strict=True) if step < 0)
    span = sum(abs(step) * (length - 1) for step, length in zip(strides, shape, strict=True)) + ITEM
    x = np.ndarray(shape, np.float64, np.zeros(span // ITEM), first, strides)
    assert memory_order(shape, strides) == memory_order(shape, x.copy(order="K").strides)


@settings(max_examples=100)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_trailing_axes_always_fit(shape, data):
    """Statistics over trailing axes with their own parameters, with or without gaps after the last one."""
    first = data.draw(st.integers(0, len(shape) - 1))
    x = np.empty((*shape[:-1], 2 * shape[-1]))[..., : shape[-1]] if data.draw(st.booleans()) else np.empty(shape)
    layout = ask(x, range(first, len(shape)), np.empty(shape[first:]), None)
    assert sizes(layout, x) == words(keep=math.prod(shape[:first]), segments=math.prod(shape[first:]))


def test_a_layout_can_be_made_by_hand():
    layout = Layout(((), (), (0, 2), (1,), ()))
    assert layout.order == (0, 2, 1)
    assert layout.sizes((2, 3, 4)) == (1, 1, 8, 3, 1)
    assert word_strides(layout, (2, 3, 4), (96, 32, 8)) is None
    assert word_strides(layout, (2, 3, 4), (32, 64, 8)) == (0, 0, 8, 64, 0)
