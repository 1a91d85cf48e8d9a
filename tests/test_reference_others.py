"""The reference of what scales without a mean, and of the recurrent cell, against values by hand and direct loops.

Folding has its reference checked beside its own tests.
"""

import inspect
import itertools

import numpy as np
import pytest
from arrays import DTYPES, dtype_of, normal
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import SMALLEST_SUBNORMAL, UNIT_ROUNDOFF

CELL = {
    "h": [0.0, 0.0],
    "weight_ih": [[1.0], [3.0]],
    "weight_hh": [[0.0, 1.0], [1.0, 0.0]],
    "gain": [1.0, 2.0],
    "bias": [0.0, 5.0],
}
ARGUMENTS = {"local_response_norm": {"size": 3}, "normalize": {}, "min_max_scale": {}, "layer_norm_rnn_cell": CELL}
ORDERS = [2, 1, 3, 0.5, 1.5, 7, 0, np.inf, -np.inf, -1, -2, -0.5]

WORKED = {
    "window of one": ("local_response_norm", [[3, 4]], {"size": 1, "alpha": 1, "beta": 0.5, "k": 0}, [[1, 1]]),
    "odd window": (
        "local_response_norm",
        [[1, 2, 3, 4]],
        {"size": 3, "alpha": 3, "beta": 1, "k": 1},
        [[1 / 6, 2 / 15, 3 / 30, 4 / 26]],
    ),
    "even window": (  # one more channel below than above
        "local_response_norm",
        [[1, 2, 3, 4]],
        {"size": 2, "alpha": 2, "beta": 1, "k": 0},
        [[1, 2 / 5, 3 / 13, 4 / 25]],
    ),
    "window wider than the channels": (
        "local_response_norm",
        [[1, 2, 3]],
        {"size": 11, "alpha": 11, "beta": 0.5, "k": 2},
        [[1 / 4, 2 / 4, 3 / 4]],
    ),
    "channels last": (
        "local_response_norm",
        [[[3], [5]], [[4], [12]]],
        {"size": 1, "alpha": 1, "beta": 1, "k": 0, "channel_axis": 0},
        [[[1 / 3], [1 / 5]], [[1 / 4], [1 / 12]]],
    ),
    "length": ("normalize", [[3, -4], [0, 2]], {}, [[0.6, -0.8], [0, 1]]),
    "length along the first axis": ("normalize", [[3, 0], [4, -2]], {"axis": 0}, [[0.6, 0], [0.8, -1]]),
    "length over two axes": ("normalize", [[1, 1], [1, -1]], {"axis": (0, 1)}, [[0.5, 0.5], [0.5, -0.5]]),
    "sum": ("normalize", [[3, -5]], {"p": 1}, [[0.375, -0.625]]),
    "largest": ("normalize", [[3, -5]], {"p": np.inf}, [[0.6, -1]]),
    "smallest": ("normalize", [[3, -5]], {"p": -np.inf}, [[1, -5 / 3]]),
    "number": ("normalize", [[3, 0, -5]], {"p": 0}, [[1.5, 0, -2.5]]),
    "harmonic": ("normalize", [[2, -4]], {"p": -1}, [[1.5, -3]]),
    "root": ("normalize", [[4, 9]], {"p": 0.5}, [[4 / 25, 9 / 25]]),
    "length below eps": ("normalize", [[3, 4], [0, 0]], {"eps": 10}, [[0.3, 0.4], [0, 0]]),
    "range": ("min_max_scale", [[1, 8], [2, 4], [5, 0]], {}, [[0, 1], [0.25, 0.5], [1, 0]]),
    "range of rows": ("min_max_scale", [[1, 3, 2], [7, 7, 7]], {"axis": 1}, [[0, 1, 0.5], [0, 0, 0]]),
    "range of all": ("min_max_scale", [[1, 3], [2, 5]], {"axis": (0, 1)}, [[0, 0.5], [0.25, 1]]),
    "another range": ("min_max_scale", [1, 2, 5], {"feature_range": (-1, 3)}, [-1, 0, 3]),
    "constant": ("min_max_scale", [[7], [7]], {"feature_range": (2, 3)}, [[2], [2]]),
    "not a number": ("min_max_scale", [1, np.nan, 5, 2], {}, [0, np.nan, 1, 0.25]),
    "constant but for that": ("min_max_scale", [7, np.nan, 7], {"feature_range": (2, 3)}, [2, np.nan, 2]),
    "none is a number": ("min_max_scale", [[np.nan, 1], [np.nan, 2]], {}, [[np.nan, 0], [np.nan, 1]]),
    "cell": ("layer_norm_rnn_cell", [1], {**CELL, "activation": "identity", "eps": 0}, [-1, 7]),
    "cell eps": ("layer_norm_rnn_cell", [1], {**CELL, "activation": "identity", "eps": 3}, [-0.5, 6]),
    "cell relu": ("layer_norm_rnn_cell", [[1], [-1]], {**CELL, "activation": "relu", "eps": 0}, [[0, 7], [1, 3]]),
    "cell tanh": ("layer_norm_rnn_cell", [1], {**CELL, "eps": 0}, np.tanh([-1, 7])),
    "cell sigmoid": (
        "layer_norm_rnn_cell",
        [1],
        {**CELL, "activation": "sigmoid", "eps": 0},
        [1 / (1 + np.e), 1 / (1 + np.exp(-7))],
    ),
    "cell state": (  # a = (0 + 6, 3 + 2)
        "layer_norm_rnn_cell",
        [0],
        {**CELL, "h": [5, 6], "activation": "identity", "eps": 0},
        [1, 3],
    ),
}


def call(name, x, **options):
    """The reference, without NumPy's warnings."""
    with np.errstate(all="ignore"):
        return getattr(reference, name)(x, **options)


@pytest.mark.parametrize("case", WORKED)
def test_worked_by_hand(case):
    name, x, options, expected = WORKED[case]
    y = call(name, x, **options)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, expected, rtol=1e-15, atol=0)


def windowed(x, window, alpha, beta, k):
    """x / (k + alpha * sum)**beta in long double, channels along axis 1; `window` gives a channel's neighbours."""
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        total = np.longdouble(0)
        for c in window(index[1]):
            if 0 <= c < x.shape[1]:
                total += np.longdouble(x[(index[0], c, *index[2:])]) ** 2
        y[index] = x[index] / (np.longdouble(k) + np.longdouble(alpha) * total) ** np.longdouble(beta)
    return y


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.6, -1.0])
@pytest.mark.parametrize("size", [*range(1, 8), 20])
def test_response_is_the_direct_sum(size, beta):
    """The window as the docstring has it, wherever the channels are."""
    x = normal((2, 6, 3, 2), "float64", scale=3.0)
    expected = windowed(x, lambda c: range(c - size // 2, c + (size - 1) // 2 + 1), 0.3 / size, beta, 1.5)
    for axis in (1, 0, 2, -1):
        moved = np.moveaxis(x, 1, axis)
        y = call("local_response_norm", moved, size=size, alpha=0.3, beta=beta, k=1.5, channel_axis=axis)
        np.testing.assert_allclose(np.moveaxis(y, axis, 1), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("size", range(1, 8))
def test_response_of_onnx(size):
    """Its even windows have one more channel above: reverse the channels before and after."""
    x = normal((2, 6, 3), "float64", scale=3.0)
    expected = windowed(x, lambda c: range(c - (size - 1) // 2, c + -(-(size - 1) // 2) + 1), 0.3 / size, 0.75, 1.5)
    y = call("local_response_norm", x[:, ::-1], size=size, alpha=0.3, k=1.5)[:, ::-1]
    np.testing.assert_allclose(y, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("depth_radius", [0, 1, 2, 5])
def test_response_of_tensorflow(depth_radius):
    """Channels last, bias 1, alpha 1 and beta 0.5 by default; alpha is not divided by the size."""
    x = normal((2, 6, 3), "float64", scale=3.0)
    r = depth_radius
    expected = windowed(x, lambda c: range(c - r, c + r + 1), 1.0, 0.5, 1.0)
    size = 2 * r + 1
    y = call("local_response_norm", np.moveaxis(x, 1, -1), size=size, alpha=1.0 * size, beta=0.5, channel_axis=-1)
    np.testing.assert_allclose(np.moveaxis(y, -1, 1), expected, rtol=1e-14, atol=0)


def test_response_of_alexnet():
    """Krizhevsky et al., section 3.3: k = 2, n = 5, alpha = 1e-4 (not divided), beta = 0.75, of i - n/2 to i + n/2."""
    x = normal((2, 9, 3), "float64", scale=100.0)
    expected = windowed(x, lambda c: range(c - 2, c + 3), 1e-4, 0.75, 2.0)
    y = call("local_response_norm", x, size=5, alpha=5e-4, beta=0.75, k=2.0)
    np.testing.assert_allclose(y, expected, rtol=1e-14, atol=0)


def test_response_of_a_base_that_is_not_positive():
    """What IEEE arithmetic makes of it."""
    x = [[2.0, 0.0, -2.0]]
    np.testing.assert_array_equal(call("local_response_norm", x, size=1, alpha=-1.0, k=4.0), [[np.inf, 0, -np.inf]])
    np.testing.assert_array_equal(call("local_response_norm", x, size=1, k=0.0)[0, 1], np.nan)
    np.testing.assert_array_equal(call("local_response_norm", x, size=1, k=-9.0), [[np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(call("local_response_norm", x, size=1, k=-1.0, alpha=0.0, beta=1.0), [[-2, 0, 2]])
    x = [[np.inf, 1.0, np.nan]]
    np.testing.assert_array_equal(call("local_response_norm", x, size=1, alpha=0.0), [[np.nan, 1, np.nan]])


@pytest.mark.parametrize("p", ORDERS)
def test_length_is_that_of_linalg(p):
    """Zeros too: with p < 0 they make the norm 0, which eps replaces."""
    x = normal((5, 6, 4), "float64")
    x[1, 2], x[2, :, 1], x[3] = 0, 0, 0
    for axis in (0, 1, -1):
        with np.errstate(divide="ignore"):
            norm = np.linalg.norm(x, ord=p, axis=axis, keepdims=True)
        np.testing.assert_allclose(call("normalize", x, p=p, axis=axis), x / np.maximum(norm, 1e-12), rtol=1e-13)
        np.testing.assert_allclose(call("normalize", x, p=p, axis=axis, eps=3), x / np.maximum(norm, 3), rtol=1e-13)
    flat = x.reshape(5, 24)
    np.testing.assert_array_equal(call("normalize", x, p=p, axis=(1, 2)), call("normalize", flat, p=p).reshape(x.shape))


@pytest.mark.parametrize("scale", [1e308, 1e200, 1e-200, 1e-300])
@pytest.mark.parametrize("p", ORDERS)
def test_length_of_any_finite_numbers(p, scale):
    """Powers of these overflow or underflow, the result does not depend on the scale; but for p = 0, which has none."""
    x = np.random.default_rng(0).uniform(0.5, 1.7, (3, 20))
    expected = call("normalize", x, p=p) * (scale if p == 0 else 1)
    np.testing.assert_allclose(call("normalize", x * scale, p=p, eps=0), expected, rtol=1e-14)


def test_length_of_special_numbers():
    x = np.array([[np.inf, 1, 0], [np.nan, 1, 0], [0, 0, 0], [5e-324, 0, 0]])
    y = call("normalize", x)
    np.testing.assert_array_equal(y, [[np.nan, 0, 0], [np.nan] * 3, [0, 0, 0], [5e-324 / 1e-12, 0, 0]])
    y = call("normalize", x, eps=0)
    np.testing.assert_array_equal(y, [[np.nan, 0, 0], [np.nan] * 3, [np.nan] * 3, [1, 0, 0]])
    y = call("normalize", [[np.inf, -np.inf], [np.inf, 2]], p=-1)
    np.testing.assert_array_equal(y, [[np.nan, np.nan], [np.inf, 1]])


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
TABLES = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=FINITE)


@given(x=TABLES, low=st.floats(-5, 5), span=st.floats(0.125, 10))
def test_range_is_kept(x, low, span):
    """Within it, from end to end unless constant, and in the order of x."""
    y = call("min_max_scale", x, feature_range=(low, low + span))
    assert ((low <= y) & (y <= low + span)).all()
    varies = x.min(axis=0) < x.max(axis=0)
    assert (y.min(axis=0) == low).all()
    np.testing.assert_allclose(y.max(axis=0)[varies], low + span, rtol=1e-15, atol=1e-15)
    assert (y[:, ~varies] == low).all()
    order = np.argsort(x, axis=0, kind="stable")
    assert (np.diff(np.take_along_axis(y, order, axis=0), axis=0) >= 0).all()


def test_range_is_not_left_by_rounding():
    assert -0.9 + (0.2 - -0.9) > 0.2
    assert call("min_max_scale", [1, 2], feature_range=(-0.9, 0.2))[1] == 0.2


def test_range_of_any_finite_numbers():
    """Also where max - min is more than the largest number, or subnormal."""
    most, least = np.finfo(np.float64).max, 5e-324
    np.testing.assert_array_equal(call("min_max_scale", [-most, 0, most]), [0, 0.5, 1])
    np.testing.assert_array_equal(call("min_max_scale", [0, least, 2 * least]), [0, 0.5, 1])
    np.testing.assert_array_equal(call("min_max_scale", [[-most, 1], [most, 3], [0, 2]]), [[0, 0], [1, 1], [0.5, 0.5]])


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "identity"])
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_cell_is_the_step(batch, activation):
    """One neuron after another, as section 3.1 of the paper has it."""
    function = {
        "tanh": np.tanh,
        "relu": lambda a: max(a, 0.0),
        "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
        "identity": lambda a: a,
    }[activation]
    inputs, hidden, samples = 5, 7, batch or 1
    x, h = normal((samples, inputs), "float64"), normal((samples, hidden), "float64", seed=1)
    weight_ih = normal((hidden, inputs), "float64", seed=2)
    weight_hh = normal((hidden, hidden), "float64", seed=3)
    gain, bias = normal((2, hidden), "float64", seed=4)
    expected = np.empty((samples, hidden))
    for n in range(samples):
        a = [
            sum(weight_hh[i, j] * h[n, j] for j in range(hidden))
            + sum(weight_ih[i, j] * x[n, j] for j in range(inputs))
            for i in range(hidden)
        ]
        mu = sum(a) / hidden
        sigma = np.sqrt(sum((one - mu) ** 2 for one in a) / hidden + 0.125)
        expected[n] = [function(gain[i] / sigma * (a[i] - mu) + bias[i]) for i in range(hidden)]
    if batch is None:
        x, h, expected = x[0], h[0], expected[0]
    y = call("layer_norm_rnn_cell", x, h=h, weight_ih=weight_ih, weight_hh=weight_hh, gain=gain, bias=bias,
             activation=activation, eps=0.125)  # fmt: skip
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-13)


def test_activations_far_out():
    """No overflow on the way, and NaN stays."""
    far = {**CELL, "gain": [1000.0, 1000.0], "bias": [0.0, 0.0], "eps": 0.0}
    for activation, expected in {"tanh": [-1, 1], "sigmoid": [0, 1], "relu": [0, 1000]}.items():
        np.testing.assert_array_equal(reference.layer_norm_rnn_cell([1.0], **far, activation=activation), expected)
        assert np.isnan(call("layer_norm_rnn_cell", [np.nan], **far, activation=activation)).all()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_result_dtype_and_one_rounding(name):
    """Results have x's dtype: what the float64 values give, rounded once."""
    shape = (4, 1) if name == "layer_norm_rnn_cell" else (4, 6)
    for given_dtype in DTYPES:
        x = normal(shape, given_dtype, seed=5)
        y, exact = call(name, x, **ARGUMENTS[name]), call(name, x.astype(np.float64), **ARGUMENTS[name])
        assert y.dtype == x.dtype
        half = UNIT_ROUNDOFF[given_dtype] * np.abs(exact) + SMALLEST_SUBNORMAL[given_dtype] / 2
        assert (np.abs(y.astype(np.float64) - exact) <= half).all()
    for integer in (bool, np.int8, np.uint64):
        assert call(name, np.ones(shape, integer), **ARGUMENTS[name]).dtype == np.float64
    x = normal(shape, "float64")
    np.testing.assert_array_equal(call(name, x.astype(">f8"), **ARGUMENTS[name]), call(name, x, **ARGUMENTS[name]))
    np.testing.assert_array_equal(call(name, x.tolist(), **ARGUMENTS[name]), call(name, x, **ARGUMENTS[name]))


def test_range_in_another_dtype():
    for given_dtype, asked in itertools.product(DTYPES, DTYPES):
        y = call("min_max_scale", np.arange(9).astype(dtype_of(given_dtype)), dtype=dtype_of(asked))
        assert y.dtype == dtype_of(asked)
        np.testing.assert_array_equal(y.astype(float), np.arange(9) / 8)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3)])
def test_empty(shape):
    x = np.empty(shape, np.float32)
    results = [
        *(call("local_response_norm", x, size=3, channel_axis=axis) for axis in range(x.ndim)),
        *(call("min_max_scale", x, axis=axis) for axis in (*range(x.ndim), tuple(range(x.ndim)))),
        *(call("normalize", x, p=p, axis=axis) for p in ORDERS for axis in range(x.ndim)),
    ]
    for y in results:
        assert (y.shape, y.dtype) == (shape, np.float32)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_inputs_are_left_alone(name):
    x = normal((2, 1) if name == "layer_norm_rnn_cell" else (2, 6), "float64")
    before = x.copy()
    x.flags.writeable = False
    y = call(name, x, **ARGUMENTS[name])
    np.testing.assert_array_equal(x, before)
    assert not np.may_share_memory(x, y)
    assert y.flags.writeable


@pytest.mark.parametrize("name", ARGUMENTS)
def test_parameters_are_those_of_the_function_less_out(name):
    expected = dict(inspect.signature(getattr(fastnorm, name)).parameters)
    expected.pop("out", None)
    actual = inspect.signature(getattr(reference, name)).parameters
    assert [(p.name, p.default, p.kind) for p in actual.values()] == [
        (p.name, p.default, p.kind) for p in expected.values()
    ]
