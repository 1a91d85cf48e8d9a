"""The reference of the norms of feature maps and data sets against values worked by hand and loops in long double."""

import inspect
import itertools

import ml_dtypes
import numpy as np
import pytest
from arrays import DTYPES, dtype_of
from test_reference_features import CLOSE, naive

import fastnorm
from fastnorm import reference

AxisError = getattr(np, "exceptions", np).AxisError  # NumPy 1.24 has it in its main namespace

NORMS = (
    "batch_norm",
    "instance_norm",
    "conditional_instance_norm",
    "adaptive_instance_norm",
    "group_norm",
    "standardize",
)
X = [[1, 3], [3, 9]]  # two samples of two channels: means 2 and 6, variances 1 and 9
MAPS = [[[1, 3], [10, 30]], [[5, 5], [1, 7]]]  # two samples of two channels of two: variances 1 and 100, 0 and 9

# eps makes every square root a whole number, or a quotient of two.
WORKED = {
    "batch": ("batch_norm", X, {"training": True, "eps": 0}, [[-1, -1], [1, 1]]),
    "batch eps": ("batch_norm", X, {"training": True, "eps": 7}, [[-(8**-0.5), -0.75], [8**-0.5, 0.75]]),
    "batch affine": (
        "batch_norm",
        X,
        {"training": True, "eps": 0, "weight": [2, 3], "bias": [10, 20]},
        [[8, 17], [12, 23]],
    ),
    "batch eval": (
        "batch_norm",
        X,
        {"running_mean": np.array([0.0, 1.0]), "running_var": np.array([3.0, 15.0]), "eps": 1},
        [[0.5, 0.5], [1.5, 2]],
    ),
    "batch of channels last": (
        "batch_norm",
        [[[1, 3], [3, 9]]],
        {"training": True, "eps": 0, "channel_axis": -1},
        [[[-1, -1], [1, 1]]],
    ),
    "instance eps": (
        "instance_norm",
        [[[1, 3], [10, 30]]],
        {"eps": 44},
        [[[-(45**-0.5), 45**-0.5], [-10 / 12, 10 / 12]]],
    ),
    "instance constant": ("instance_norm", [[[5, 5]]], {"weight": [3], "bias": [7]}, [[[7, 7]]]),
    "instance of one element": ("instance_norm", X, {"bias": [7, 8]}, [[7, 8], [7, 8]]),
    "instance per sample": (
        "instance_norm",
        [[[1, 3]], [[1, 3]]],
        {"eps": 0, "weight": [[2], [3]], "bias": [[10], [20]]},
        [[[8, 12]], [[17, 23]]],
    ),
    "instance eval": (
        "instance_norm",
        [[[1, 3], [10, 30]]],
        {"running_mean": np.array([1, 10.0]), "running_var": np.array([3, 99.0]), "eps": 1, "use_input_stats": False},
        [[[0, 1], [0, 2]]],
    ),
    "conditional": (
        "conditional_instance_norm",
        [[[1, 3]], [[1, 3]], [[1, 3]]],
        {"labels": [1, 0, 1], "weight": [[2], [3]], "bias": [[10], [20]], "eps": 0},
        [[[17, 23]], [[8, 12]], [[17, 23]]],
    ),
    "adaptive": (
        "adaptive_instance_norm",
        [[[1, 3], [10, 30]]],
        {"style": [[[4, 6, 4, 6], [0, 6, 0, 6]]], "eps": 0},
        [[[4, 6], [0, 6]]],
    ),
    "adaptive of one style": (
        "adaptive_instance_norm",
        [[[1, 3]], [[30, 10]]],
        {"style": [[[-5, 5]]], "eps": 0},
        [[[-5, 5]], [[5, -5]]],
    ),
    "adaptive of a constant style": (
        "adaptive_instance_norm",
        [[[1, 7]]],
        {"style": [[[5, 5, 5]]], "eps": 16},
        [[[5 - 12 / 5, 5 + 12 / 5]]],
    ),
    "groups": ("group_norm", [[1, 3, 10, 30]], {"num_groups": 2, "eps": 0}, [[-1, 1, -1, 1]]),
    "one group": ("group_norm", [[0, 0, 0, 4]], {"num_groups": 1, "eps": 1}, [[-0.5, -0.5, -0.5, 1.5]]),
    "a group of each channel": ("group_norm", [[[1, 3], [9, 3]]], {"num_groups": 2, "eps": 0}, [[[-1, 1], [1, -1]]]),
    "groups affine": (
        "group_norm",
        [[1, 3, 10, 30]],
        {"num_groups": 2, "eps": 0, "weight": [1, 2, 3, 4], "bias": [5, 6, 7, 8]},
        [[4, 8, 4, 12]],
    ),
    "groups of channels last": (
        "group_norm",
        [[[1, 10], [3, 30]]],
        {"num_groups": 2, "eps": 0, "channel_axis": 2},
        [[[-1, -1], [1, 1]]],
    ),
    "standardize": ("standardize", X, {}, [[-1, -1], [1, 1]]),
    "standardize ddof": ("standardize", X, {"ddof": 1}, [[-(0.5**0.5), -(0.5**0.5)], [0.5**0.5, 0.5**0.5]]),
    "standardize rows": ("standardize", [[1, 3], [2, 2]], {"axis": 1}, [[-1, 1], [0, 0]]),
    "standardize all": ("standardize", [[0, 0], [4, 4]], {"axis": (0, 1)}, [[-1, -1], [1, 1]]),
    "standardize a constant": ("standardize", [[0.1]] * 10, {}, [[0]] * 10),
}


@pytest.mark.parametrize("case", WORKED)
def test_worked_by_hand(case):
    name, x, options, expected = WORKED[case]
    y = getattr(reference, name)(x, **options)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, expected, rtol=1e-15, atol=0)


def test_running_statistics_worked_by_hand():
    """The variance of (1, 3) is 1 of the population, 2 unbiased; that of (3, 9) is 9 and 18."""
    mean, var = np.array([10.0, 20.0]), np.array([4.0, 8.0])
    reference.batch_norm(X, mean, var, training=True, momentum=0.25)
    np.testing.assert_array_equal(mean, [8, 16.5])
    np.testing.assert_array_equal(var, [3.5, 10.5])
    mean, var = np.array([10.0, 20.0]), np.array([4.0, 8.0])
    reference.batch_norm(X, mean, var, training=True, momentum=0.25, running_ddof=0)
    np.testing.assert_array_equal(var, [3.25, 8.25])
    # Instances (1, 3) and (5, 5): means 2 and 5, unbiased variances 2 and 0.
    mean, var = np.array([0.0, 0.0]), np.array([0.0, 0.0])
    reference.instance_norm(MAPS, mean, var, momentum=0.5)
    np.testing.assert_array_equal(mean, [(2 + 5) / 4, (20 + 4) / 4])
    np.testing.assert_array_equal(var, [(2 + 0) / 4, (200 + 18) / 4])


def test_statistics_worked_by_hand():
    def check(got, mean, variance):
        np.testing.assert_array_equal(got[1], mean)
        np.testing.assert_allclose(got[2], 1 / np.sqrt(variance), rtol=1e-15)

    asked = {"eps": 1, "return_stats": True}
    check(reference.batch_norm(X, training=True, **asked), [2, 6], [2, 10])
    running = {"running_mean": np.array([3.0, 4.0]), "running_var": np.array([8.0, 15.0])}
    check(reference.batch_norm(X, **running, **asked), [3, 4], [9, 16])
    check(reference.instance_norm(MAPS, **asked), [[2, 20], [5, 4]], [[2, 101], [1, 10]])
    given = reference.instance_norm(MAPS, **running, use_input_stats=False, **asked)
    check(given, [[3, 4], [3, 4]], [[9, 16], [9, 16]])
    conditional = reference.conditional_instance_norm(MAPS, [0, 0], np.ones((1, 2)), np.ones((1, 2)), **asked)
    check(conditional, [[2, 20], [5, 4]], [[2, 101], [1, 10]])
    check(reference.adaptive_instance_norm(MAPS, [X], **asked), [[2, 20], [5, 4]], [[2, 101], [1, 10]])
    check(reference.group_norm([[1, 3, 10, 30]], 2, **asked), [[2, 20]], [[2, 101]])
    check(reference.standardize(X, return_stats=True), [[2, 6]], [[1, 9]])
    _, _, rstd = reference.standardize([[7.0], [7.0]], return_stats=True)
    np.testing.assert_array_equal(rstd, [[0]])


def affine(t, weight, bias, place):
    """Times weight plus bias, each read where `place` says for an index of t."""
    y = t.copy()
    for index in np.ndindex(t.shape):
        y[index] = t[index] * np.longdouble(weight[place(index)]) + np.longdouble(bias[place(index)])
    return y.astype(float)


@pytest.mark.parametrize("eps", [0.0, 0.5])
@pytest.mark.parametrize(
    ("shape", "channel_axis"), [((5, 4), 1), ((3, 4, 5), 1), ((3, 5, 4), -1), ((2, 3, 4, 2), 2), ((2, 4, 3, 2, 2), 1)]
)
def test_against_long_double(shape, channel_axis, eps):
    rng = np.random.default_rng(3)
    x = rng.normal(2, 3, shape)
    c = channel_axis % x.ndim
    weight, bias = rng.normal(1, 1, (2, shape[c]))
    tables = rng.normal(1, 1, (2, 3, shape[c]))
    labels = np.arange(shape[0]) % 3
    options = {"eps": eps, "channel_axis": channel_axis}

    t, statistics = naive(x, lambda index: index[c], eps)
    y = reference.batch_norm(x, None, None, weight, bias, training=True, **options)
    np.testing.assert_allclose(y, affine(t, weight, bias, lambda index: index[c]), **CLOSE)
    mean, var = rng.normal(0, 1, shape[c]), rng.uniform(1, 2, shape[c])
    n = x.size // shape[c]
    moved = [
        [0.75 * old + 0.25 * statistics[i][0] for i, old in enumerate(mean)],
        [0.75 * old + 0.25 * statistics[i][1] * n / (n - 1) for i, old in enumerate(var)],
    ]
    reference.batch_norm(x, mean, var, training=True, momentum=0.25, **options)
    np.testing.assert_allclose([mean, var], np.array(moved, float), rtol=1e-14)
    t = np.empty(shape, np.longdouble)
    for index in np.ndindex(shape):
        t[index] = (np.longdouble(x[index]) - mean[index[c]]) / np.sqrt(np.longdouble(var[index[c]]) + eps)
    y = reference.batch_norm(x, mean, var, weight, bias, **options)
    np.testing.assert_allclose(y, affine(t, weight, bias, lambda index: index[c]), **CLOSE)
    y = reference.instance_norm(x, mean, var, weight, bias, use_input_stats=False, **options)
    np.testing.assert_allclose(y, affine(t, weight, bias, lambda index: index[c]), **CLOSE)

    for num_groups in (1, 2, 4):
        size = shape[c] // num_groups
        t, statistics = naive(x, lambda index, size=size: (index[0], index[c] // size), eps or 1e-3)
        y, mean, _ = reference.group_norm(
            x, num_groups, weight, bias, eps=eps or 1e-3, channel_axis=channel_axis, return_stats=True
        )
        np.testing.assert_allclose(y, affine(t, weight, bias, lambda index: index[c]), **CLOSE)
        for key, (one, _) in statistics.items():
            np.testing.assert_allclose(mean[key], float(one), rtol=1e-13)

    if x.ndim > 2:
        t, _ = naive(x, lambda index: (index[0], index[c]), eps)
        y = reference.instance_norm(x, weight=weight, bias=bias, **options)
        np.testing.assert_allclose(y, affine(t, weight, bias, lambda index: index[c]), **CLOSE)
        y = reference.conditional_instance_norm(x, labels, *tables, **options)
        np.testing.assert_allclose(y, affine(t, *tables, lambda index: (labels[index[0]], index[c])), **CLOSE)
        style = rng.normal(5, 2, shape)
        _, statistics = naive(style, lambda index: (index[0], index[c]), eps)
        of_style = [
            {key: mean for key, (mean, _) in statistics.items()},
            {key: np.sqrt(var + np.longdouble(eps)) for key, (_, var) in statistics.items()},
        ]
        y = reference.adaptive_instance_norm(x, style, **options)
        np.testing.assert_allclose(y, affine(t, of_style[1], of_style[0], lambda index: (index[0], index[c])), **CLOSE)


ARGUMENTS = {
    "batch_norm": {"training": True},
    "instance_norm": {},
    "conditional_instance_norm": {"labels": [0, 1], "weight": np.ones((2, 4)), "bias": np.zeros((2, 4))},
    "adaptive_instance_norm": {"style": np.arange(24.0).reshape(2, 4, 3)},
    "group_norm": {"num_groups": 2},
    "standardize": {},
}


@pytest.mark.parametrize("name", [*NORMS, "moments"])
def test_parameters_are_those_of_the_function_less_out(name):
    expected = dict(inspect.signature(getattr(fastnorm, name)).parameters)
    expected.pop("out", None)
    actual = inspect.signature(getattr(reference, name)).parameters
    assert {key: (p.default, p.kind) for key, p in actual.items()} == {
        key: (p.default, p.kind) for key, p in expected.items()
    }
    assert list(actual) == list(expected)


@pytest.mark.parametrize("name", NORMS)
def test_result_dtype(name):
    function, arguments = getattr(reference, name), ARGUMENTS[name]
    values = np.arange(16).reshape(2, 4, 2) % 5
    for given, asked in itertools.product(DTYPES, DTYPES):
        x = values.astype(dtype_of(given))
        assert function(x, **arguments).dtype == x.dtype
        assert function(x, **arguments, dtype=dtype_of(asked)).dtype == dtype_of(asked)
    for given in (bool, np.int8, np.uint64):
        assert function(values.astype(given), **arguments).dtype == np.float64
    np.testing.assert_array_equal(function(values.tolist(), **arguments), function(values.astype(">f8"), **arguments))


@pytest.mark.parametrize(
    ("dtype", "digits"), [(np.float16, 10), (ml_dtypes.bfloat16, 7), (np.float32, 23)], ids=["f16", "bf16", "f32"]
)
def test_result_is_rounded_once(dtype, digits):
    """Just above half a unit: float64 to the dtype rounds up, by way of float32 it would round to even, down."""
    weight = np.array([1 + 2.0 ** -(digits + 1) + 2.0**-45])
    x = np.array([[[-1.0, 1.0]]])
    expected = x * (1 + 2.0**-digits)
    for y in (
        reference.batch_norm(x, weight=weight, training=True, eps=0.0, dtype=dtype),
        reference.instance_norm(x, weight=weight, eps=0.0, dtype=dtype),
        reference.group_norm(x, 1, weight, eps=0.0, dtype=dtype),
        reference.adaptive_instance_norm(x, x * weight, eps=0.0, dtype=dtype),
    ):
        np.testing.assert_array_equal(y.astype(float), expected)
    running = [np.zeros(1, dtype), np.ones(1, dtype)]
    reference.batch_norm(x * 0 + weight, *running, training=True, momentum=1.0)
    assert running[0].astype(float) == 1 + 2.0**-digits


@pytest.mark.parametrize("name", NORMS)
def test_axis_out_of_range_is_refused(name):
    axis = "axis" if name == "standardize" else "channel_axis"
    for outside in (3, -4):
        with pytest.raises(AxisError):
            getattr(reference, name)(np.ones((2, 4, 3)), **ARGUMENTS[name], **{axis: outside})


@pytest.mark.parametrize("function", [reference.batch_norm, reference.instance_norm])
def test_given_statistics_are_needed_where_x_has_none_to_give(function):
    options = {} if function is reference.batch_norm else {"use_input_stats": False}
    with pytest.raises(ValueError, match="running_mean is None"):
        function(np.ones((2, 3, 4)), **options)
    with pytest.raises(ValueError, match="running_var is None"):
        function(np.ones((2, 3, 4)), running_mean=np.ones(3), **options)


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0), (0, 4), (2, 0, 3)])
def test_empty(shape):
    """Nothing in, nothing out; a statistic of no elements is NaN, and running statistics stay."""
    x = np.empty(shape, np.float32)
    n, c = shape[:2]
    running = [np.full(c, 2.0), np.full(c, 3.0)]
    calls = {
        (c,): lambda: reference.batch_norm(x, *running, training=True, return_stats=True),
        (n, c): lambda: reference.instance_norm(x, *running, return_stats=True),
        (n, 2): lambda: reference.group_norm(x, 2, return_stats=True),
        (1, *shape[1:]): lambda: reference.standardize(x, return_stats=True),
    }
    for expected, call in calls.items():
        y, *statistics = call()
        assert (y.shape, y.dtype) == (shape, np.float32)
        for one in statistics:
            assert one.shape == expected
            assert np.isnan(one).all()
    assert (running[0] == 2).all()
    assert (running[1] == 3).all()
    assert reference.moments(x).count == 0


def test_inputs_are_left_alone():
    x = np.arange(24.0).reshape(2, 4, 3)
    x.flags.writeable = False
    for name in NORMS:
        y = getattr(reference, name)(x, **ARGUMENTS[name])
        assert not np.may_share_memory(x, y)
        assert y.flags.writeable
