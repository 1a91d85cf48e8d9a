"""Inputs that a caller may well pass and few tests think of: memory that overlaps itself, no elements or more than any
memory holds, any rank, and results of another width; and that no dense layout costs a temporary of the input's size.
"""

import sys
import tracemalloc
from functools import partial

import numpy as np
import pytest
from arrays import DTYPES, dtype_of, normal
from calls import layer_norm_of
from families import KINDS, make
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from test_reproducibility_families import in_order

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import error
from fastnorm._kernels import window
from fastnorm._kernels.views import F32
from fastnorm._memory import GATHER_BYTES


@st.composite
def problems(draw):
    """Values of rank 1 to 7 in any order of memory, with steps back, gaps and broadcasts; and axes, in any order."""
    rank = draw(st.integers(1, 7))
    shape = draw(st.lists(st.integers(1, 5 if rank < 5 else 3), min_size=rank, max_size=rank))
    own = [n if draw(st.integers(0, 9)) else 1 for n in shape]  # 1: broadcast along this axis
    gaps = [draw(st.sampled_from([0, 0, 0, 1])) for _ in shape]
    big = in_order(
        normal([n + gap for n, gap in zip(own, gaps, strict=True)], draw(st.sampled_from(DTYPES)), offset=2.0),
        draw(st.permutations(range(rank))),
    )
    x = big[tuple(slice(0, n) for n in own)][tuple(slice(None, None, draw(st.sampled_from([1, 1, -1]))) for _ in own)]
    axes = draw(st.lists(st.integers(0, rank - 1), min_size=1, unique=True))
    negative = draw(st.booleans())
    return np.broadcast_to(x, shape), tuple(axis - rank if negative else axis for axis in axes)


def same_numbers(got, expected, unit, scale=1.0):
    """Within some thousand units: a wrong element, axis or stride is off by far more."""
    wide = np.asarray(got).astype(np.float64)
    np.testing.assert_allclose(wide, expected, rtol=2000 * unit, atol=2000 * unit * scale)


@settings(max_examples=150)
@given(problems(), st.data())
def test_layer_norm_with_parameters_of_any_shape(problem, data):
    """Along the axes, or of full rank and varying along any axes, weight and bias each its own."""
    x, axes = problem
    lengths = [x.shape[axis] for axis in sorted(axis % x.ndim for axis in axes)]
    parameters = {}
    for name, seed in (("weight", 1), ("bias", 2)):
        kind = data.draw(st.sampled_from(["none", "axes", "any"]))
        shape = lengths if kind == "axes" else [n if data.draw(st.booleans()) else 1 for n in x.shape]
        if kind != "none":
            parameters[name] = normal(shape, offset=1.0, seed=seed)
    y = fastnorm.layer_norm(x, **parameters, axis=axes)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    # The tolerance is derived for parameters along the axes, and where the reference's own rounding does not show.
    if x.dtype == np.float64 or any(one.ndim == x.ndim for one in parameters.values()):
        expected = reference.layer_norm(x, **parameters, axis=axes, dtype=np.float64)
        unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(x.dtype.name, 0) / 500 + 2.0**-23
        same_numbers(y, expected, unit)
    else:
        assert error(y, x, **parameters, reference_function=reference.layer_norm, axis=axes) <= 1


@settings(max_examples=300)
@given(problems(), st.integers(0, 2))
def test_standardize_and_moments(problem, ddof):
    x, axes = problem
    wide = x.astype(np.float64)
    got, expected = fastnorm.moments(x, axis=axes), reference.moments(x, axis=axes)
    assert got.count == expected.count
    same_numbers(got.mean, expected.mean, 2.0**-53)
    same_numbers(got.m2, expected.m2, 2.0**-53)
    y = fastnorm.standardize(x, axis=axes, ddof=ddof)
    expected = reference.standardize(x, axis=axes, ddof=ddof, dtype=np.float64)
    constant = np.ptp(wide, axis=axes, keepdims=True) == 0
    if got.count > ddof:
        assert not y.astype(np.float64)[np.broadcast_to(constant, y.shape)].any()
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}.get(x.dtype.name, 2.0**-50)
    same_numbers(y, expected, unit / 200)


@settings(max_examples=200)
@given(problems(), st.data())
def test_out_that_overlaps(problem, data):
    """Part of the same memory, shifted, reversed, transposed or narrower: as if it were apart."""
    x, axes = problem
    memory = np.zeros(2 * x.size + 16, x.dtype)
    start = data.draw(st.integers(0, 8))
    source = memory[start : start + x.size].reshape(x.shape)
    source[...] = x
    apart = data.draw(st.sampled_from([x.dtype, np.dtype(np.float16), np.dtype(np.float64)]))
    expected = fastnorm.layer_norm(source.copy(), axis=axes, out=np.empty(x.shape, apart))
    raw = memory[: memory.size // 4 * 4].view(apart)
    first = data.draw(st.integers(0, 8))
    if raw.size < first + x.size:
        return
    out = raw[first : first + x.size].reshape(x.shape)
    if data.draw(st.booleans()):
        out = raw[first : first + x.size].reshape(x.shape[::-1]).T
    out = out[::-1] if data.draw(st.booleans()) else out
    assert fastnorm.layer_norm(source, axis=axes, out=out) is out
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_no_elements(kind):
    """A length of 0 anywhere: an empty result, statistics that are NaN, running ones as they were."""
    for shape in [(0, 4, 3, 2), (2, 4, 0, 2), (2, 4, 3, 0), (0, 4, 0, 2)]:
        for channel_axis in (1, -1):
            order = shape if channel_axis == 1 else (shape[0], *shape[2:], shape[1])
            for dtype in DTYPES:
                problem = make(kind, order, dtype, channel_axis=channel_axis, names=("weight", "bias"))
                y, mean, rstd = problem.call(return_stats=True)
                assert y.shape == order
                assert y.dtype == dtype_of(dtype)
                assert mean.shape == rstd.shape
                if "eval" not in kind:
                    assert np.isnan(mean).all()
                out = np.empty(order, dtype_of(dtype))
                assert problem.call(out=out) is out


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 2), (0, 1, 2)])
def test_no_elements_along_axes(axis):
    for shape in [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)]:
        x = np.empty(shape, np.float32)
        y, mean, rstd = fastnorm.layer_norm(x, axis=axis, return_stats=True)
        assert y.shape == shape
        assert mean.shape == rstd.shape == reference.layer_norm(x, axis=axis, return_stats=True)[1].shape
        assert np.isnan(mean).all()
        found = fastnorm.moments(x, axis=axis)
        assert found.count == reference.moments(x, axis=axis).count
        assert np.isnan(found.mean).all()


def test_sliding_windows():
    """Each element lies in many windows: read as they are, never written."""
    line = normal(4000, offset=1.0)
    windows = sliding_window_view(line, 64)
    for axis in (0, 1, (0, 1)):
        dense = windows.copy()
        assert (
            error(fastnorm.layer_norm(windows, axis=axis), dense, reference_function=reference.layer_norm, axis=axis)
            <= 1
        )
        same_numbers(fastnorm.moments(windows, axis=axis).m2, reference.moments(dense, axis=axis).m2, 2.0**-53)
    image = sliding_window_view(normal((2, 3, 20, 20), offset=1.0), (5, 5), axis=(2, 3))
    y = fastnorm.layer_norm(image, axis=(-2, -1))
    assert error(y, image.copy(), reference_function=reference.layer_norm, axis=(-2, -1)) <= 1


def test_windows_that_are_written_too():
    """Several elements of the result in one place: some order of writing, and nothing outside."""
    memory = np.zeros(200, np.float32)
    windows = as_strided(memory[50:], (40, 16), (8, 4))
    memory[50:150] = normal(100)
    fastnorm.layer_norm(windows, out=windows)
    assert np.isfinite(memory).all()
    assert not memory[:50].any()
    assert not memory[144:][6:].any()


def test_a_line_that_stands_for_many():
    """A broadcast line: 2**20 elements in 128 bytes."""
    line = normal(32, "float32", offset=3.0)
    wide = line.astype(np.float64)
    x = np.broadcast_to(line, (1 << 15, 32))
    found = fastnorm.moments(x)
    assert found.count == 1 << 20
    np.testing.assert_allclose(found.mean, wide.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.var(), wide.var(), rtol=1e-12)
    np.testing.assert_array_equal(fastnorm.moments(x, axis=0).mean, wide)
    assert not fastnorm.moments(x, axis=0).m2.any()


FEW = 1 << 33  # elements, for which there may be no memory
MANY = 1 << 57  # for which there is none, whatever the system promises
needs_64_bits = pytest.mark.skipif(sys.maxsize < MANY, reason="NumPy has no such shapes here")


@needs_64_bits
def test_more_elements_than_memory():
    """Windows on a line: read where they lie, with statistics of each."""
    line = np.arange(FEW // (1 << 16) + (1 << 16) - 1) % 251 / 4
    windows = sliding_window_view(line.astype(np.float32), 1 << 16)
    assert windows.size == FEW
    found = fastnorm.moments(windows, axis=1)
    assert found.count == 1 << 16
    some = np.s_[:: 1 << 13]
    np.testing.assert_allclose(found.mean[some], windows[some].mean(axis=1, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found.var()[some], windows[some].var(axis=1, dtype=np.float64), rtol=1e-12)


HUGE = {
    "one axis": lambda one: np.broadcast_to(one, (MANY,)),
    "many rows": lambda one: np.broadcast_to(np.full(16, one), (MANY // 16, 16)),
    "long rows": lambda one: np.broadcast_to(np.full((16, 1), one), (16, MANY // 16)),
    "long rows that are few bytes": lambda one: as_strided(np.full(8, one), (4, MANY // 4), (one.itemsize, 0)),
    "planes": lambda one: np.broadcast_to(one, (2, 3, MANY // 64, 8)),
    "channels": lambda one: np.broadcast_to(one, (2, MANY // 16, 2)),
}


@needs_64_bits
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", HUGE)
def test_results_or_scratch_that_no_memory_holds(shape, dtype):
    """Broadcast arrays of more bytes than there can be are refused for want of memory, not walked."""
    x = HUGE[shape](np.dtype(dtype).type(1))
    for call in (
        fastnorm.moments,
        fastnorm.layer_norm,
        lambda x: fastnorm.layer_norm(x, axis=0),
        fastnorm.rms_norm,
        fastnorm.standardize,
        lambda x: fastnorm.normalize(x, axis=0, p=3),
        fastnorm.min_max_scale,
        fastnorm.dropout,
        lambda x: fastnorm.local_response_norm(x, 5, channel_axis=0),
        lambda x: fastnorm.batch_norm(x[..., None], training=True, channel_axis=-1),
    ):
        with pytest.raises((MemoryError, ValueError), match=r"nable to allocate|too (big|large)|Maximum allowed"):
            call(x)


@pytest.mark.parametrize("channels", [(sys.maxsize >> less) + 1 for less in (5, 6, 7)])
def test_scratch_whose_size_no_number_holds(channels):
    """A window's scratch is larger than x, and its size may not wrap around; no x of this machine is so large."""
    x, y = np.ones((2, 16), np.float32)
    walk = (1, channels, 2), (0, 0, 4), (0, 0, 4), F32, F32
    with pytest.raises(MemoryError, match="fastnorm needs"):
        window.respond(x, y, *walk, channels - 1, channels - 1, 1.0, 0.75, 1.0)


@needs_64_bits
def test_no_elements_of_many_lengths():
    """A length of 0 beside lengths whose product is near the largest number: nothing is done, at once."""
    for shape in [(0, 1 << 59), (1 << 30, 0, 1 << 29), (1 << 59, 0)]:
        x = np.empty(shape, np.float32)
        for call in (fastnorm.layer_norm, fastnorm.rms_norm, fastnorm.normalize, fastnorm.dropout):
            assert call(x).shape == shape


@pytest.mark.parametrize("result", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_narrow_results_of_float64(kind, result):
    """Arithmetic stays float64, rounded once, wherever the result lies."""
    for shape, channel_axis in [((2, 6, 5, 7), 1), ((2, 5, 7, 6), -1), ((2, 3, 6, 6), 1), ((40, 6), 1)]:
        problem = make(kind, shape, "float64", channel_axis=channel_axis, names=("weight", "bias"))
        for order in [tuple(range(len(shape))), (0, *range(2, len(shape)), 1), tuple(range(len(shape)))[::-1]]:
            out = in_order(np.zeros(shape, dtype_of(result)), order)
            assert problem.call(out=out) is out
            assert problem.error(out) <= 1


MEMORY = {
    "NCHW": ((4, 32, 100, 100), 1, (0, 1, 2, 3)),
    "NHWC": ((4, 32, 100, 100), 1, (0, 2, 3, 1)),
    "RGB last": ((4, 3, 300, 300), 1, (0, 2, 3, 1)),
    "7x7 planes": ((300, 96, 7, 7), 1, (0, 1, 2, 3)),
    "3x3 planes": ((600, 256, 3, 3), 1, (0, 1, 2, 3)),
    "Fortran": ((4, 32, 100, 100), 1, (3, 2, 1, 0)),
}


def peak(call, *arguments, **options):
    """The most that a second call holds at once, in bytes."""
    call(*arguments, **options)
    tracemalloc.start()
    try:
        call(*arguments, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layout", MEMORY)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "standardize"])
def test_no_temporary_of_the_size_of_the_input(kind, layout):
    shape, channel_axis, order = MEMORY[layout]
    problem = make(kind, shape, channel_axis=channel_axis, names=("weight", "bias"))
    x = in_order(problem.x, order)
    out = np.empty_like(x)
    assert out.strides == x.strides
    if kind == "adaptive":
        problem.options["style"] = problem.options["style"][:, :, :3, :3]
    allowed = 200_000 + 12 * 8 * shape[0] * shape[1]  # float64 for each sample and channel, in a few forms
    if (kind, layout) == ("group", "Fortran"):
        allowed += 5 * GATHER_BYTES  # its axes alternate more often than the words do: a block, and its parameters
    assert peak(problem.call, x, out=out) < allowed
    assert peak(problem.call, x, out=x) < allowed


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("kind", ["instance", "instance eval"])
def test_no_temporary_for_parameters_of_each_sample(kind, per_sample):
    for shape, channel_axis in [((6, 32, 80, 80), 1), ((6, 80, 80, 32), -1)]:
        names = ("weight", "bias")
        problem = make(kind, shape, channel_axis=channel_axis, names=names, per_sample=per_sample)
        assert peak(problem.call, problem.x, out=np.empty_like(problem.x)) < 200_000


def test_no_temporary_for_parameters_that_alternate():
    """No words hold the axes, so that parameters are expanded; but for a block at a time."""
    x = normal((20, 16, 16, 16, 16))
    for axes, weight in [((0, 2, 4), normal((20, 16, 16))), ((1, 3), normal((16, 16)))]:
        expected = fastnorm.layer_norm(x, weight, axis=axes)
        assert error(expected, x, weight, reference_function=reference.layer_norm, axis=axes) <= 1
        out = np.empty_like(x)
        assert peak(fastnorm.layer_norm, x, weight, axis=axes, out=out) < 200_000 + 4 * GATHER_BYTES
        assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("kind", ["instance", "instance eval", "conditional", "adaptive", "group"])
def test_no_temporary_for_some_of_the_samples(kind, per_sample):
    """Where nothing tells samples from channels they are one word, but a gap between samples is a stride of its own."""
    names = ("weight", "bias") if per_sample else ()
    for pick in [np.s_[::2], np.s_[::-1], np.s_[1::3, ::2]][: 2 if kind == "group" else 3]:
        whole = normal((12, 32, 60, 60))
        x = whole[pick]
        problem = make(kind, x.shape, names=names, per_sample=per_sample and kind.startswith("instance"))
        if kind == "adaptive":
            problem.options["style"] = problem.options["style"][:, :, :3, :3]
        expected = problem.call(x.copy()).tobytes()
        for out in (np.empty(x.shape, x.dtype), np.empty_like(whole)[pick]):
            assert peak(problem.call, x.copy(), out=out) < 200_000
            assert peak(problem.call, x, out=out) < 200_000
            assert out.tobytes() == expected
        assert problem.call(x, out=x).tobytes() == expected
        assert peak(problem.call, x, out=x) < 200_000


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
@pytest.mark.parametrize("axis", [1, -1, 0])
def test_no_temporary_over_one_axis(axis, order):
    x = in_order(normal((4, 32, 100, 100)), order)
    out = np.empty_like(x)
    for call in (
        layer_norm_of(axis, x),
        partial(fastnorm.rms_norm, axis=axis),
        partial(fastnorm.standardize, axis=axis),
    ):
        assert peak(call, x, out=out) < 200_000
