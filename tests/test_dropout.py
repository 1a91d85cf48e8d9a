"""Dropout: the mask that a seed means, kept values, every kind of memory, and what the docstring claims.

All seeds are fixed: a statistical test that passes once passes always, and the probability given with it is that a
sound generator would have failed it at that seed.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, dtype_of, normal, swapped
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import _dropout, reference
from fastnorm._bench.agreement import distance, tolerance
from fastnorm._kernels import dropout as kernel
from fastnorm.reference.regularization import kept, philox

SHAPES = [(), (1,), (15,), (63,), (64,), (65,), (127,), (129,), (3, 5, 7), (2, 64), (4, 1, 33, 2)]
ONES = 2**32 - 1


def check(x, y, mask, p, expected_mask):
    """The mask is the expected one, and the values are zeros or x / (1 - p)."""
    np.testing.assert_array_equal(mask, expected_mask)
    assert mask.dtype == np.bool_
    assert mask.flags.c_contiguous
    values = x.astype(np.float64)
    ref = np.where(mask, values / (1 - p), 0.0)
    wide = x.dtype.kind in "iub" or "float64" in (x.dtype.name, y.dtype.name)
    assert distance(y, ref, tolerance(ref, np.abs(ref), 1.0, y.dtype.name, wide=wide)) <= 1
    dropped = y[~mask].astype(np.float64)
    assert not dropped.any()
    assert not np.signbit(dropped).any()


def mask_of(shape, p, seed):
    return reference.dropout(np.ones(shape), p, rng=seed, return_mask=True)[1]


# --- the bits ---


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([ONES] * 4, [ONES] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_reference_generator_gives_the_known_answers_of_random123(counter, key, words):
    assert [int(word[0]) for word in philox([np.array([one], np.uint64) for one in counter], key)] == words


def test_a_seed_means_this_mask():
    """Results of users depend on it: it does not change."""
    _, mask = fastnorm.dropout(np.ones(128, np.float32), rng=2018, return_mask=True)
    assert np.packbits(mask).tobytes().hex() == "44b421a327a983f7e5e0f81c53e114cf"


@pytest.mark.parametrize("first", [2**34 - 100, 2**34 - 64, 2**36 + 5, 2**63 + 1])
def test_elements_are_numbered_beyond_32_bits(first):
    """More of them than memory holds: the kernel is told the number of its first element."""
    n, key, threshold = 200, 0x0123456789ABCDEF, 2**31
    mask = np.zeros(n, np.bool_)
    y = np.empty(n, np.float32)
    kernel.dropout(np.ones(n, np.float32), y, mask, first, key, threshold, 2.0, 1e-18, 0, 0)
    number = np.arange(n, dtype=np.uint64) + np.uint64(first)
    counter = number // np.uint64(64) * np.uint64(16) + number % np.uint64(16)
    zero = np.zeros_like(counter)
    words = philox([counter % np.uint64(2**32), counter // np.uint64(2**32), zero, zero], [key % 2**32, key // 2**32])
    word = np.choose((number // np.uint64(16) % np.uint64(4)).astype(int), words)
    np.testing.assert_array_equal(mask, word >= threshold)
    np.testing.assert_array_equal(y, np.where(mask, 2, 0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_mask_and_values_are_those_of_the_reference(shape, dtype):
    x = normal(shape, dtype, offset=1.0)
    for seed, p in enumerate([0.5, 0.1, 0.999]):
        y, mask = fastnorm.dropout(x, p, rng=seed, return_mask=True)
        assert y.dtype == x.dtype
        assert y.shape == shape
        check(x, y, mask, p, mask_of(shape, p, seed))
        np.testing.assert_array_equal(fastnorm.dropout(x, p, rng=seed), y)


def test_larger_p_drops_the_same_elements_and_more():
    x = np.ones(10_000, np.float32)
    masks = [fastnorm.dropout(x, p, rng=3, return_mask=True)[1] for p in (0, 0.1, 0.5, 0.9, 1)]
    for more, less in itertools.pairwise(masks):
        assert (more >= less).all()
        assert more.sum() > less.sum()


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_for_any_number_of_threads(dtype):
    x = normal(1_100_003, dtype)
    results = set()
    for n in (1, 2, 3, 7):
        with fastnorm.threads(n):
            y, mask = fastnorm.dropout(x, 0.3, rng=1, return_mask=True)
        results.add(y.tobytes() + mask.tobytes())
    assert len(results) == 1
    check(x, y, mask, 0.3, mask_of(x.shape, 0.3, 1))


@pytest.mark.parametrize(("dtype", "n"), [("float32", 8_400_001), ("float64", 4_200_001), ("float16", 16_800_001)])
@pytest.mark.parametrize("offset", [0, 1, 5])
def test_large_results_are_streamed_to_any_alignment(dtype, n, offset):
    """A reused `out` above 32 MB is written past the caches, a new result is not."""
    x = np.resize(normal(65_521, dtype), n)
    y, mask = fastnorm.dropout(x, 0.3, rng=1, return_mask=True)
    out = np.full(n + 16, np.nan, dtype)
    for threads in (1, 3):
        with fastnorm.threads(threads):
            _, again = fastnorm.dropout(x, 0.3, rng=1, out=out[offset : offset + n], return_mask=True)
        assert np.array_equal(out[offset : offset + n], y)
        assert np.array_equal(again, mask)
    assert np.isnan(out[:offset]).all()
    assert np.isnan(out[offset + n :]).all()


# --- memory of every kind ---


@pytest.fixture(params=[_dropout.BLOCK, 64, 10, 1])
def block(request, monkeypatch):
    """Blocks small enough that the shapes here are cut along every axis."""
    monkeypatch.setattr(_dropout, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layout_of_x_and_out(layout, dtype):
    shape = (3, 5, 4, 7)
    x = normal(shape, dtype)
    same = LAYOUTS[layout](x)
    expected, mask = fastnorm.dropout(x, 0.4, rng=5, return_mask=True)
    y, other = fastnorm.dropout(same, 0.4, rng=5, return_mask=True)
    assert y.strides == np.empty_like(same).strides
    np.testing.assert_array_equal(y, expected)
    check(x, y, other, 0.4, mask)
    if same.flags.writeable:
        assert fastnorm.dropout(x, 0.4, rng=5, out=same) is same  # into it
        np.testing.assert_array_equal(same, expected)
        same[...] = x
        assert fastnorm.dropout(same, 0.4, rng=5, out=same) is same  # in place
        np.testing.assert_array_equal(same, expected)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_foreign_byte_order(dtype):
    x = normal((5, 33), dtype)
    expected = fastnorm.dropout(x, rng=5)
    y = fastnorm.dropout(swapped(x), rng=5)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, expected)
    out = swapped(np.zeros_like(x))
    fastnorm.dropout(x, rng=5, out=out)
    np.testing.assert_array_equal(out, expected)
    x = swapped(x)
    np.testing.assert_array_equal(fastnorm.dropout(x, rng=5, out=x), expected)


@pytest.mark.parametrize("shift", [-70, -1, 1, 70])
@pytest.mark.parametrize("training", [True, False])
def test_overlap_gives_what_no_overlap_gives(shift, training):
    memory = normal(400)
    x, out = memory[100:300], memory[100 + shift : 300 + shift]
    expected = fastnorm.dropout(x, rng=5, training=training)
    fastnorm.dropout(x, rng=5, out=out, training=training)
    np.testing.assert_array_equal(out, expected)


def test_overlap_of_other_strides_and_itemsize():
    square = normal((40, 40))
    expected = fastnorm.dropout(square, rng=5)
    np.testing.assert_array_equal(fastnorm.dropout(square, rng=5, out=square.T), expected)
    memory = np.zeros(1000)
    x = memory.view(np.float32)[:1000]
    x[...] = normal(1000)
    expected = fastnorm.dropout(x.copy(), rng=5)
    np.testing.assert_array_equal(fastnorm.dropout(x, rng=5, out=memory), fastnorm.dropout(expected, training=False))
    windows = np.lib.stride_tricks.sliding_window_view(normal(50), 10)
    np.testing.assert_array_equal(fastnorm.dropout(windows, rng=5), fastnorm.dropout(windows.copy(), rng=5))


@pytest.mark.parametrize("x_dtype", [*DTYPES, "int32", "uint8", "bool"])
@pytest.mark.parametrize("out_dtype", DTYPES)
@pytest.mark.parametrize("training", [True, False])
def test_out_of_another_dtype_is_rounded_once(x_dtype, out_dtype, training):
    values = np.random.default_rng(1).integers(0, 200, 333)
    x = values.astype(x_dtype) if x_dtype[0] in "iub" and x_dtype != "bfloat16" else normal(333, x_dtype)
    out = np.empty(333, dtype_of(out_dtype))
    _, mask = fastnorm.dropout(x, 0.3, rng=1, out=out, training=training, return_mask=True)
    check(x, out, mask, 0.3 if training else 0.0, mask_of(x.shape, 0.3, 1) if training else np.ones(333, np.bool_))


def test_integers_give_float64():
    y, mask = fastnorm.dropout([[1, 2], [3, 4]], rng=1, return_mask=True)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, np.where(mask, [[2, 4], [6, 8]], 0))


def test_subclasses_are_not_kept_and_zero_sizes_are():
    assert type(fastnorm.dropout(np.ones((3, 3)).view(np.matrix), rng=1)) is np.ndarray
    for training in (True, False):
        y, mask = fastnorm.dropout(np.ones((2, 0, 3), np.float16), training=training, return_mask=True)
        assert y.shape == mask.shape == (2, 0, 3)
        assert y.dtype == np.float16


@given(
    st.lists(st.integers(0, 70), min_size=0, max_size=3).filter(lambda shape: math.prod(shape) < 5000),
    st.sampled_from(DTYPES),
    st.floats(0, 1),
    st.integers(0, 2**70),
    st.randoms(use_true_random=False),
)
def test_any_shape_order_and_p_agree_with_the_reference(shape, dtype, p, seed, random):
    order = random.sample(range(len(shape)), len(shape))
    base = normal([shape[axis] for axis in order], dtype)
    x = base.transpose(np.argsort(order))[tuple(slice(None, None, random.choice((1, 1, -1, 2))) for _ in shape)]
    y, mask = fastnorm.dropout(x, p, rng=seed, return_mask=True)
    if p == 1:
        assert not y.any()
        assert not mask.any()
    else:
        with np.errstate(over="ignore"):  # of float16 and x / (1 - p)
            check(x, y, mask, p, mask_of(x.shape, p, seed))


# --- values ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.1, 0.3, 1 / 3, 0.5, 0.75, 0.9, 1 - 2.0**-20, 2.0**-31, 1e-300])
def test_kept_values_are_within_a_unit_in_the_last_place(dtype, p):
    """Exactly: in rational numbers, of x with long and short fractions, near the smallest and largest too."""
    x = normal(200, dtype, seed=1)
    x[:40] *= x.dtype.type(np.finfo(dtype).tiny)
    x[40:60] = np.nextafter(x.dtype.type(2), x.dtype.type([[1], [3]])).repeat(10)
    y, mask = fastnorm.dropout(x, p, rng=1, return_mask=True)
    units = 1 if fastnorm.show_config(mode="dicts")["fma"] else 2
    for value, result in zip(x[mask], y[mask], strict=True):
        exact = Fraction(float(value)) / (1 - Fraction(p))
        assert abs(Fraction(float(result)) - exact) <= units * Fraction(float(np.spacing(abs(result))))


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_is_exact(dtype):
    smallest = {"bfloat16": 2.0**-133, "float16": 2.0**-24, "float32": 2.0**-149, "float64": 2.0**-1074}[dtype]
    x = np.concatenate([normal(1000), np.arange(50) * smallest]).astype(dtype_of(dtype))
    y, mask = fastnorm.dropout(x, 0.5, rng=1, return_mask=True)
    assert mask[1000:].any()
    np.testing.assert_array_equal(y[mask], x[mask] * x.dtype.type(2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.5, 0.1, 0.3, 0.7])
def test_what_is_dropped_is_zero_and_what_is_kept_stays(dtype, p):
    """Also NaN and infinity; a kept zero keeps its sign."""
    for value in (np.inf, -np.inf, np.nan, -1.0, -0.0, 0.0):
        x = np.full(333, value, dtype_of(dtype))
        y, mask = fastnorm.dropout(x, p, rng=1, return_mask=True)
        y = y.astype(np.float64)
        assert not y[~mask].any()
        assert not np.signbit(y[~mask]).any()
        expected = -1 / (1 - p) if value == -1 else value
        np.testing.assert_allclose(y[mask], expected, rtol=2.0**-7)
        if not math.isnan(value):
            assert (np.signbit(y[mask]) == np.signbit(value)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_p_zero_and_one_and_inference(dtype):
    x = normal((7, 33), dtype)
    x[0, :3] = np.inf, np.nan, -0.0
    for options in ({"p": 0}, {"p": 0.9, "training": False}, {"p": 1, "training": False}):
        y, mask = fastnorm.dropout(x, return_mask=True, **options)
        assert y.tobytes() == x.tobytes()
        assert not np.shares_memory(x, y)
        assert mask.all()
        out = np.zeros_like(x.T).T
        assert fastnorm.dropout(x, out=out, **options) is out
        assert out.tobytes() == x.tobytes()
    y, mask = fastnorm.dropout(x, 1, return_mask=True)
    assert y.tobytes() == bytes(x.nbytes)
    assert not mask.any()


def test_tiny_p_is_rounded_but_never_taken_for_zero_or_one(monkeypatch):
    thresholds = []
    monkeypatch.setattr(kernel, "dropout", lambda *arguments: thresholds.append(arguments[5]))
    for p in (1e-300, 2.0**-32, 2.0**-31, 1.5 * 2.0**-32, 0.5, 1 - 2.0**-33, math.nextafter(1, 0)):
        fastnorm.dropout(np.ones(3), p)
    assert thresholds == [1, 1, 2, 2, 2**31, 2**32 - 1, 2**32 - 1]
    assert kept(3, math.nextafter(1, 0), 0).shape == (3,)


def test_mask_gives_the_gradient():
    """The derivative of the sum of y * dy, by the mask and by the same call on dy."""
    x, dy = normal((5, 70), "float64"), normal((5, 70), "float64", seed=1)
    _, mask = fastnorm.dropout(x, 0.3, rng=1, return_mask=True)
    gradient = fastnorm.dropout(dy, 0.3, rng=1)
    np.testing.assert_allclose(gradient, mask * dy / 0.7, rtol=1e-15)
    step = 1e-3
    for i, j in [(0, 0), (1, 5), (4, 69), (3, 3)]:
        moved = x.copy()
        moved[i, j] += step
        change = ((fastnorm.dropout(moved, 0.3, rng=1) - fastnorm.dropout(x, 0.3, rng=1)) * dy).sum() / step
        assert change == pytest.approx(gradient[i, j], abs=1e-10)
