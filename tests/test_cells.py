"""The layer-normalised recurrent cell: against the formula, its activations, a thousand steps, and what it refuses."""

import re

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, dtype_of, normal, swapped
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import SMALLEST_SUBNORMAL, UNIT_ROUNDOFF, distance, roundings, tolerance

ACTIVATIONS = ["tanh", "relu", "sigmoid", "identity"]
SIZES = [(4, 3, 5), (1, 1, 1), (3, 7, 64), (70, 40, 130), (2, 0, 6)]


def cell(batch, inputs, hidden, dtype="float32"):
    """x, h, weight_ih, weight_hh, gain, bias."""
    shapes = [(batch, inputs), (batch, hidden), (hidden, inputs), (hidden, hidden), (hidden,), (hidden,)]
    return [normal(shape, dtype, seed=seed) for seed, shape in enumerate(shapes)]


def error(y, arrays, activation="tanh", eps=1e-5):
    """Worst error in units of what rounding allows; at most 1 passes. No activation magnifies an error of its argument,
    and each rounds a few times itself."""
    x, h, weight_ih, weight_hh, gain, bias = (np.asarray(one).astype(np.float64) for one in arrays)
    options = {"activation": activation, "eps": eps}
    ref = reference.layer_norm_rnn_cell(x, h, weight_ih, weight_hh, gain, bias, **options)
    t = reference.layer_norm_rnn_cell(x, h, weight_ih, weight_hh, None, None, activation="identity", eps=eps)
    a = h @ weight_hh.T + x @ weight_ih.T
    magnitude = np.abs(h) @ np.abs(weight_hh).T + np.abs(x) @ np.abs(weight_ih).T
    products = (h.shape[-1] + x.shape[-1] + 2) * np.max(magnitude, axis=-1, keepdims=True)
    # An error of a moves the mean and the deviation, too.
    moved = products / np.sqrt(a.var(axis=-1, keepdims=True) + eps) * (2 + np.abs(t))
    most = np.max(np.abs(t), axis=-1, keepdims=True)
    scale = np.abs(gain) * (moved + roundings(h.shape[-1]) * most) + np.abs(bias) + 4 * np.abs(ref)
    wide = "float64" in (arrays[0].dtype.name, y.dtype.name)
    return distance(y, ref, tolerance(ref, scale, 1, y.dtype.name, wide=wide))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", SIZES)
def test_reference(sizes, activation, dtype):
    arrays = cell(*sizes, dtype)
    before = [one.copy() for one in arrays]
    y = fastnorm.layer_norm_rnn_cell(*arrays, activation=activation)
    assert y.dtype == dtype_of(dtype)
    assert y.shape == arrays[1].shape
    assert error(y, arrays, activation) <= 1
    for one, old in zip(arrays, before, strict=True):
        assert one.tobytes() == old.tobytes()
    # A sample alone: its products may be summed in another order.
    alone = [arrays[0][0], arrays[1][0], *arrays[2:]]
    y = fastnorm.layer_norm_rnn_cell(*alone, activation=activation)
    assert y.shape == (sizes[2],)
    assert error(y, alone, activation) <= 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    arrays = cell(4, 6, 10)
    y = fastnorm.layer_norm_rnn_cell(*(LAYOUTS[layout](one) for one in arrays))
    assert error(y, arrays) <= 1
    if layout == "contiguous":
        assert error(fastnorm.layer_norm_rnn_cell(*map(swapped, arrays)), arrays) <= 1
        assert error(fastnorm.layer_norm_rnn_cell(*(one.tolist() for one in arrays)), arrays) <= 1


def test_mixed_dtypes_follow_x():
    for x_dtype, others in (
        ("float32", "float64"),
        ("float64", "float32"),
        ("float16", "float32"),
        ("int64", "float32"),
    ):
        arrays = cell(4, 6, 10, others)
        arrays[0] = (4 * arrays[0]).astype(x_dtype)
        y = fastnorm.layer_norm_rnn_cell(*arrays)
        assert y.dtype == ("float64" if x_dtype == "int64" else x_dtype)
        assert error(y, arrays) <= 1


def test_gain_and_bias_may_be_absent():
    arrays = cell(4, 6, 10)
    for names in ((4,), (5,), (4, 5)):
        given = [None if i in names else one for i, one in enumerate(arrays)]
        neutral = [np.full(10, float(i == 4), np.float32) if i in names else one for i, one in enumerate(arrays)]
        assert_array_equal(fastnorm.layer_norm_rnn_cell(*given), fastnorm.layer_norm_rnn_cell(*neutral))


def test_empty():
    for sizes in ((0, 3, 4), (2, 3, 0), (0, 0, 0)):
        arrays = cell(*sizes)
        assert fastnorm.layer_norm_rnn_cell(*arrays).shape == arrays[1].shape


def test_long_rows():
    arrays = cell(3, 1, 1300)
    assert error(fastnorm.layer_norm_rnn_cell(*arrays), arrays) <= 1


# The activations: with a gain of 0 the bias is what they are taken of.

EDGES = [0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1e-310, 3e38, -3e38, 88.0, -88.0, 745.0, -745.0]


def activated(values, activation):
    hidden = len(values)
    weights = np.zeros((hidden, 1), values.dtype), np.zeros((hidden, hidden), values.dtype)
    x, h, gain = np.zeros(1, values.dtype), np.zeros(hidden, values.dtype), np.zeros(hidden, values.dtype)
    return fastnorm.layer_norm_rnn_cell(x, h, *weights, gain, values, activation=activation)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, dtype):
    rng = np.random.default_rng(1)
    spread = rng.choice([-1, 1], 500) * 10.0 ** rng.uniform(-12, 3, 500)
    with np.errstate(all="ignore"):
        values = np.concatenate([EDGES, spread, rng.uniform(-3, 3, 500), np.linspace(-1, 1, 201)])
        values = values.astype(dtype_of(dtype))
    exact = np.longdouble if np.finfo(np.longdouble).nmant >= 63 else np.float64
    with np.errstate(all="ignore"):
        v = values.astype(exact)
        expected = {
            "tanh": np.tanh,
            "relu": lambda v: np.where(np.isnan(v), v, np.maximum(v, 0)),
            "sigmoid": lambda v: np.where(v < 0, np.exp(v), 1) / (1 + np.exp(-np.abs(v))),
            "identity": lambda v: v,
        }[activation](v)
    y = activated(values, activation)
    # Relative, also near 0 and near the ends of the range; of a subnormal, its last bit.
    allowed = (6 if dtype == "float64" else 1.01) * UNIT_ROUNDOFF[dtype] * np.abs(expected) + SMALLEST_SUBNORMAL[dtype]
    assert distance(y, expected.astype(np.float64), allowed.astype(np.float64)) <= 1


# A thousand steps.


def unrolled(scale, step, steps=1000, hidden=64):
    """The root mean square of the state after each step, and the states; both weights times `scale`."""
    rng = np.random.default_rng(0)
    weight_ih, weight_hh = (rng.standard_normal((hidden, n)) / np.sqrt(n) * scale for n in (8, hidden))
    h, lengths, states = np.zeros(hidden), [], []
    for x in rng.standard_normal((steps, 8)):
        h = step(x, h, weight_ih, weight_hh)
        states.append(h)
        with np.errstate(over="ignore"):
            lengths.append(np.sqrt(np.mean(h**2)))
    return np.array(lengths), np.array(states)


def plain(x, h, weight_ih, weight_hh):
    with np.errstate(all="ignore"):
        return np.maximum(weight_hh @ h + weight_ih @ x, 0)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_thousand_steps(activation):
    def step(x, h, weight_ih, weight_hh, eps=1e-5):
        return fastnorm.layer_norm_rnn_cell(x, h, weight_ih, weight_hh, None, None, activation=activation, eps=eps)

    expected, _ = unrolled(1.0, step)
    assert 0.3 < expected[10:].min() <= expected[10:].max() < 1
    for scale in (0.1, 3.0, 30.0):
        lengths, _ = unrolled(scale, step)
        assert_allclose(lengths[100:].reshape(9, 100).mean(1), expected[100:].reshape(9, 100).mean(1), rtol=0.03)
    # A power of 2 is exact in every product: without eps not one bit of any state changes.
    _, states = unrolled(1.0, lambda *arrays: step(*arrays, eps=0.0))
    for scale in (2.0**-10, 4.0):
        assert_array_equal(unrolled(scale, lambda *arrays: step(*arrays, eps=0.0))[1], states)


def test_a_thousand_steps_without_the_norm():
    lengths, _ = unrolled(3.0, plain)
    assert not np.isfinite(lengths[-1]) or lengths[-1] > 1e100
    lengths, _ = unrolled(0.1, plain)
    assert lengths[-1] < 0.2  # nothing but the last few inputs


# What is refused.

NAMES = ["x", "h", "weight_ih", "weight_hh", "gain", "bias"]
GOOD = dict(zip(NAMES, cell(4, 3, 5), strict=True))
REFUSED = [
    ({"x": np.zeros((2, 2, 3))}, ValueError, "x has shape (2, 2, 3), expected one or two dimensions"),
    ({"h": np.zeros(())}, ValueError, "h has shape (), expected one or two dimensions"),
    ({"h": np.zeros((3, 5))}, ValueError, "h has shape (3, 5), expected (4, 5) for x of shape (4, 3)"),
    ({"h": np.zeros(5)}, ValueError, "h has shape (5,), expected (4, 5) for x of shape (4, 3)"),
    (
        {"weight_ih": np.zeros((3, 5))},
        ValueError,
        "weight_ih has shape (3, 5), expected (5, 3) for x of shape (4, 3) and h of shape (4, 5)",
    ),
    ({"weight_hh": np.zeros((5, 4))}, ValueError, "weight_hh has shape (5, 4), expected (5, 5) for h of shape (4, 5)"),
    ({"gain": np.zeros(4)}, ValueError, "gain has shape (4,), expected (5,) for h of shape (4, 5)"),
    ({"bias": np.zeros((1, 5))}, ValueError, "bias has shape (1, 5), expected (5,) for h of shape (4, 5)"),
    ({"activation": "gelu"}, ValueError, "activation is 'gelu', expected one of 'identity', 'relu', 'sigmoid', 'tanh'"),
    ({"activation": None}, ValueError, "activation is None, expected one of"),
    ({"eps": -1.0}, ValueError, "eps is -1.0, expected a finite number >= 0"),
    ({"weight_hh": None}, TypeError, "weight_hh has dtype object, expected "),
    *(({name: GOOD[name].astype("c8")}, TypeError, f"{name} has dtype complex64, expected ") for name in NAMES),
    *(({name: np.ma.array(GOOD[name])}, TypeError, f"{name} is a masked array") for name in NAMES),
]


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED, ids=str)
def test_refused(options, kind, message):
    with pytest.raises(kind, match="^" + re.escape(message)):
        fastnorm.layer_norm_rnn_cell(**{**GOOD, **options})
