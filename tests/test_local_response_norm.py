"""Local response norm: against the direct sum in every layout, in place, its bits, peers, and what it refuses."""

import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, dtype_of, normal, swapped
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import distance, tolerance

AxisError = getattr(np, "exceptions", np).AxisError  # NumPy 1.24 has it in its main namespace

# NCHW, NHWC, (N, C), (N, C, L), channels-first without samples, and 5-D; lengths that fill no vector.
SHAPES = [
    ((3, 7, 5, 7), 1),
    ((2, 5, 3, 19), -1),
    ((4, 21), 1),
    ((2, 9, 33), 1),
    ((6, 40), 0),
    ((2, 6, 2, 3, 5), 1),
    ((2, 3, 4, 2, 5), 2),
    ((3, 1, 4), 1),
]
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 50]
BETAS = [0.75, 0.5, 1.0, 0.6, 2.0, -0.25]


def allowed(ref, channels, size, beta, x_dtype, y_dtype):
    """Each square, each addition of up to `size` of them, scale and k round the base, which goes to the power beta;
    then roots, their product (or the power) and the division."""
    k = abs(beta) * (min(size, channels) + 3) + 5
    return tolerance(ref, np.abs(ref), k, y_dtype.name, wide="float64" in (x_dtype.name, y_dtype.name))


def error(y, x, size, **options):
    """Worst error of a result in units of the tolerance; at most 1 passes."""
    with np.errstate(all="ignore"):
        ref = reference.local_response_norm(x.astype(np.float64), size, **options)
    channels = x.shape[options.get("channel_axis", 1)]
    return distance(y, ref, allowed(ref, channels, size, options.get("beta", 0.75), x.dtype, y.dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_reference(shape, axis, beta, dtype):
    x = normal(shape, dtype, scale=3.0)
    for size in SIZES:
        options = {"alpha": 0.7, "beta": beta, "k": 1.5, "channel_axis": axis}
        y = fastnorm.local_response_norm(x, size, **options)
        assert y.dtype == x.dtype
        assert error(y, x, size, **options) <= 1
        # The same values elsewhere in memory, and onto themselves.
        assert fastnorm.local_response_norm(x, size, **options, out=x.copy()).tobytes() == y.tobytes()
        z = x.copy()
        assert fastnorm.local_response_norm(z, size, **options, out=z) is z
        assert z.tobytes() == y.tobytes()


def test_defaults():
    x = normal((2, 7, 5), scale=300.0)
    assert error(fastnorm.local_response_norm(x, 5), x, 5) <= 1
    assert_array_equal(fastnorm.local_response_norm(x, 5), fastnorm.local_response_norm(x, 5, alpha=1e-4, k=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "axis"), [((3, 7, 5, 7), 1), ((3, 5, 4, 20), -1), ((5, 30), 1), ((3, 37, 2), 0)])
def test_layouts_have_the_same_bits(shape, axis, layout, dtype):
    values = normal(shape, dtype, scale=2.0)
    expected = fastnorm.local_response_norm(values, 5, alpha=1.0, channel_axis=axis)
    x = LAYOUTS[layout](values)
    y = fastnorm.local_response_norm(x, 5, alpha=1.0, channel_axis=axis)
    assert y.strides == np.empty_like(x, subok=False).strides
    assert_array_equal(y, expected)
    if layout != "read-only":
        for other in LAYOUTS.values():
            out = LAYOUTS[layout](np.zeros_like(values))
            assert fastnorm.local_response_norm(other(values), 5, alpha=1.0, channel_axis=axis, out=out) is out
            assert_array_equal(out, expected)
        assert fastnorm.local_response_norm(x, 5, alpha=1.0, channel_axis=axis, out=x) is x
        assert_array_equal(x, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_foreign_byte_order(dtype):
    x = normal((3, 7, 5), dtype)
    expected = fastnorm.local_response_norm(x, 3)
    y = fastnorm.local_response_norm(swapped(x), 3)
    assert y.dtype == x.dtype
    assert_array_equal(y, expected)
    out = swapped(np.zeros_like(x))
    fastnorm.local_response_norm(x, 3, out=out)
    assert_array_equal(out, expected)


@pytest.mark.parametrize("result", DTYPES)
@pytest.mark.parametrize("dtype", [*DTYPES, "int32", "bool"])
def test_dtypes(dtype, result):
    x = normal((3, 7, 20), scale=4.0).astype(dtype_of(dtype))
    for axis in (1, 2):
        out = np.zeros(x.shape, dtype_of(result))
        assert fastnorm.local_response_norm(x, 5, alpha=1.0, channel_axis=axis, out=out) is out
        wide = x.astype(np.float64) if dtype in ("int32", "bool") else x
        assert error(out, wide, 5, alpha=1.0, channel_axis=axis) <= 1
    if dtype in ("int32", "bool"):
        assert fastnorm.local_response_norm(x, 5).dtype == np.float64


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_overlapping_memory(shift, axis):
    memory = normal((9, 30, 21))
    x = memory[:-1, :-1, :-1]
    expected = fastnorm.local_response_norm(x.copy(), 5, alpha=1.0, channel_axis=axis)
    out = memory[tuple(slice(start, start + n) for start, n in zip(shift, x.shape, strict=True))]
    fastnorm.local_response_norm(x, 5, alpha=1.0, channel_axis=axis, out=out)
    assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "axis", "size"),
    [
        ((2, 4000), 1, 5),  # more channels than are taken at a time, and windows of about as many
        ((2, 2100), 1, 1500),
        ((1, 5, 3000), 1, 3),  # more positions
        ((1, 1500, 3), 1, 1200),  # windows of more rows than the cache has room for
        ((1, 70, 600), 1, 64),
    ],
)
def test_more_than_one_tile(shape, axis, size, dtype):
    x = normal(shape, dtype)
    options = {"alpha": float(size), "channel_axis": axis}
    y = fastnorm.local_response_norm(x, size, **options)
    assert error(y, x, size, **options) <= 1
    fastnorm.local_response_norm(x, size, **options, out=x)
    assert_array_equal(x, y)


def test_a_window_wider_than_can_be():
    x = normal((2, 6, 5))
    whole = fastnorm.local_response_norm(x, 11, alpha=11.0)
    for size in (12, 10**6, 10**40):
        assert_array_equal(fastnorm.local_response_norm(x, size, alpha=float(size)), whole)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_empty(shape):
    out = np.empty(shape)
    assert fastnorm.local_response_norm(np.zeros(shape, np.float32), 5).shape == shape
    assert fastnorm.local_response_norm(np.zeros(shape), 5, out=out) is out


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.data(),
    st.integers(1, 12),
    st.floats(0, 10),
    st.floats(-2, 2),
    st.floats(0.1, 10),
)
def test_any_shape(shape, data, size, alpha, beta, k):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = normal(shape).transpose(data.draw(st.permutations(range(len(shape)))))
    options = {"alpha": alpha, "beta": beta, "k": k, "channel_axis": axis}
    assert error(fastnorm.local_response_norm(x, size, **options), x, size, **options) <= 1


# What the base may become.


def test_a_base_that_is_zero_or_negative():
    x = np.array([[2.0, -2.0, 0.0]])
    for beta in (0.5, 0.75, 1, 0.6, 2, 3, -1, 0):
        for k, alpha in ((0.0, 0.0), (-1.0, 0.0), (0.0, -1.0)):
            with np.errstate(all="ignore"):
                expected = reference.local_response_norm(x, 1, alpha=alpha, beta=beta, k=k)
            for dtype in (np.float64, np.float32):
                y = fastnorm.local_response_norm(x.astype(dtype), 1, alpha=alpha, beta=beta, k=k)
                assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.6])
def test_what_is_not_finite_stays_in_its_windows(beta, value, axis):
    x = normal((2, 20, 20))
    x[1, 9, 9] = value
    clean = np.where(np.isfinite(x), x, 0)
    y = fastnorm.local_response_norm(x, 4, beta=beta, channel_axis=axis)
    expected = fastnorm.local_response_norm(clean, 4, beta=beta, channel_axis=axis)
    reached = np.zeros(x.shape, bool)
    np.moveaxis(reached, axis, 0)[8:12, 1, 9] = True  # channel 9 lies in the windows of 8 to 11
    assert_array_equal(y[~reached], expected[~reached])
    assert np.isnan(y[1, 9, 9])
    assert_array_equal(np.delete(y[reached], 1), np.nan if np.isnan(value) else 0)


def test_squares_that_overflow_give_zero():
    x = np.array([[1e18, 1e20, -1e20, 3e38]], np.float32)
    assert_array_equal(fastnorm.local_response_norm(x, 1)[0, 1:], 0)
    assert error(fastnorm.local_response_norm(x[:, :1], 1), x[:, :1], 1) <= 1
    assert (fastnorm.local_response_norm(x.astype(np.float64), 1) > 0).sum() == 3


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs a wider float to compare with")
@pytest.mark.parametrize("beta", [0.0, 0.6, 2.0, -0.75, 1 / 3, 3.0, 0.01, 15.5])
def test_powers_over_the_whole_range(beta):
    """x / (x * x)**beta in float64: the power within one unit in the last place, of any magnitude."""
    reach = min(300, 300 / abs(2 * beta - 1)) / 2.1
    x = np.random.default_rng(3).uniform(1, 2, (40, 50)) * 10.0 ** np.linspace(-reach, reach, 50)
    square = (x * x).astype(np.longdouble)
    expected = x.astype(np.longdouble) / square ** np.longdouble(beta)
    y = fastnorm.local_response_norm(x, 1, alpha=1.0, beta=beta, k=0.0)
    assert np.isfinite(y).all()
    assert np.max(np.abs(y - expected) / np.abs(expected)) <= 2.5 * 2.0**-53


# Bits.


@pytest.mark.parametrize(("axis", "dtype"), [(1, "float32"), (2, "float16")])
def test_results_written_past_the_cache(axis, dtype):
    """A new result never is, a large one given as `out` is."""
    x = normal((1, 300, 301), dtype)
    x = np.broadcast_to(x, ((34 << 20) // x.itemsize // x.size, 300, 301))
    y = fastnorm.local_response_norm(x, 5, alpha=1.0, beta=0.5, channel_axis=axis)
    out = np.empty(y.size + 1, dtype)[1:].reshape(
        y.shape
    )  # where a line holds the end of a row and the next one's start
    fastnorm.local_response_norm(x, 5, alpha=1.0, beta=0.5, channel_axis=axis, out=out)
    assert_array_equal(out, y)


DIGEST = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from arrays import DTYPES, normal
import fastnorm
digest = hashlib.sha256()
for dtype in DTYPES:
    for shape, axis in [((2, 9, 35), 1), ((2, 9, 35), 2)]:
        for beta in (0.5, 0.75, 1.0, 0.6, -1.5):
            for size in (1, 4, 5):
                for scale in (1.0, 1e-3, 30.0):
                    x = normal(shape, dtype, scale=scale)
                    y = fastnorm.local_response_norm(x, size, alpha=0.3, beta=beta, channel_axis=axis)
                    digest.update(y.tobytes())
print(digest.hexdigest(), fastnorm.show_config("dicts")["fma"])
"""


def test_instruction_sets():
    digests = {}
    for isa in fastnorm.show_config(mode="dicts")["isa_supported"]:
        done = subprocess.run(
            [sys.executable, "-c", DIGEST, os.path.dirname(__file__)],
            env=os.environ | {"FASTNORM_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        )
        digest, fma = done.stdout.split()
        assert len(digest) == hashlib.sha256().digest_size * 2
        if fma == "True":
            digests[isa] = digest
    assert len(set(digests.values())) <= 1, digests


# Peers.


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("shape", [(2, 7, 5), (2, 7, 5, 6), (2, 3, 4, 5, 6)])
def test_torch(shape, size):
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "float64"):
        x = normal(shape, dtype, scale=5.0)
        for options in ({}, {"alpha": 0.5, "beta": 0.6, "k": 2.0}):
            peer = torch.nn.functional.local_response_norm(torch.from_numpy(x), size, **options).numpy()
            y = fastnorm.local_response_norm(x, size, **options)
            assert_allclose(y, peer, rtol=20 * np.finfo(x.dtype).eps)


def test_docstring_conversions():
    """The windows and sums that the docstring names, written out."""
    x = normal((2, 9, 3), "float64")
    padded = np.pad(x**2, ((0, 0), (4, 4), (0, 0)))

    def windows(below, above):
        return sum(padded[:, 4 + i : 13 + i] for i in range(-below, above + 1))

    onnx = x / (1.0 + 0.3 / 4 * windows(1, 2)) ** 0.75
    assert_allclose(fastnorm.local_response_norm(x[:, ::-1], 4, alpha=0.3)[:, ::-1], onnx, rtol=1e-14)
    tensorflow = x / (1.0 + 0.3 * windows(3, 3)) ** 0.5
    assert_allclose(fastnorm.local_response_norm(x, 7, alpha=0.3 * 7, beta=0.5), tensorflow, rtol=1e-14)
    alexnet = x / (2.0 + 1e-4 * windows(2, 2)) ** 0.75
    assert_allclose(fastnorm.local_response_norm(x, 5, alpha=5e-4, k=2), alexnet, rtol=1e-14)


# What is refused.

X = normal((2, 3, 4))
REFUSED = [
    ({"size": 0}, ValueError, "^size is 0, expected at least 1$"),
    ({"size": -3}, ValueError, "^size is -3, expected at least 1$"),
    ({"size": 5.0}, TypeError, "^size is 5.0, expected an int$"),
    ({"size": None}, TypeError, "^size is None, expected an int$"),
    *(
        ({name: value}, ValueError, f"^{name} is {value}, expected a finite number$")
        for name in ("alpha", "beta", "k")
        for value in (np.nan, np.inf, -np.inf)
    ),
    ({"alpha": "1"}, TypeError, "^alpha is '1', expected a number$"),
    ({"k": None}, TypeError, "^k is None, expected a number$"),
    ({"beta": 10**400}, ValueError, "^beta is 1000.*, expected a finite number$"),
    ({"channel_axis": 3}, AxisError, "^channel_axis: axis 3 is out of bounds for array of dimension 3$"),
    ({"channel_axis": -4}, AxisError, "^channel_axis: axis -4 is out of bounds"),
    ({"channel_axis": 1.0}, TypeError, "^channel_axis is 1.0, expected an int$"),
    ({"x": X.astype("c8")}, TypeError, "^x has dtype complex64, expected "),
    ({"x": np.ma.array(X)}, TypeError, "^x is a masked array"),
    ({"x": X[0, 0]}, AxisError, "^channel_axis: axis 1 is out of bounds for array of dimension 1$"),
    (
        {"out": np.zeros((2, 3, 5))},
        ValueError,
        re.escape("out has shape (2, 3, 5), expected (2, 3, 4), the shape of x"),
    ),
    ({"out": LAYOUTS["read-only"](X)}, ValueError, "^out is read-only"),
    ({"out": X.astype(int)}, TypeError, "^out has dtype int64"),
    ({"out": X.tolist()}, TypeError, "^out has type list"),
]


def test_numbers_beyond_the_arithmetic_are_refused():
    for name, shown in (("alpha", "alpha / size"), ("k", "k")):
        with pytest.raises(ValueError, match=rf"^{shown} is 1e\+40, expected a number in the range of float32$"):
            fastnorm.local_response_norm(X, 1, **{name: 1e40})
        fastnorm.local_response_norm(X.astype(np.float64), 1, **{name: 1e40})


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED, ids=str)
def test_refused(options, kind, message):
    out = np.full(X.shape, 7.0)
    with pytest.raises(kind, match=message):
        fastnorm.local_response_norm(**{"x": X, "size": 5, "out": out, **options})
    assert_array_equal(out, 7.0)
