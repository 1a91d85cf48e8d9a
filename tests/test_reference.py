"""`fastnorm.reference` against values worked by hand and against the formulas in long double.

Everything else is checked against the reference, so the reference is checked against something that shares no code
with it: numbers small enough to work out on paper, and a loop over Python scalars in `numpy.longdouble`.
"""

import inspect
import itertools

import ml_dtypes
import numpy as np
import pytest

import fastnorm
from fastnorm import reference

AxisError = getattr(np, "exceptions", np).AxisError  # NumPy 1.24 has it in its main namespace

NAMES = ("layer_norm", "rms_norm")
SIXTH = 1 / 6

# eps makes every square root a whole number: x = (1, 3) has mean 2 and variance 1, x = (1, 7) has mean square 25.
WORKED = {
    "plain": ("layer_norm", [1, 3], {"eps": 3}, [-0.5, 0.5]),
    "eps 0": ("layer_norm", [1, 3], {"eps": 0}, [-1, 1]),
    "weight": ("layer_norm", [1, 3], {"eps": 3, "weight": [2, 4]}, [-1, 2]),
    "bias": ("layer_norm", [1, 3], {"eps": 3, "bias": [10, 20]}, [9.5, 20.5]),
    "both": ("layer_norm", [1, 3], {"eps": 3, "weight": [2, 4], "bias": [10, 20]}, [9, 22]),
    "not centred": ("layer_norm", [1, 3], {"eps": 3, "center": False}, [0.5, 1.5]),
    "constant": ("layer_norm", [7, 7], {"weight": [5, 5], "bias": [1, 2]}, [1, 2]),
    "rows": ("layer_norm", [[1, 3], [10, 30]], {"eps": 300}, [[-1 / 301**0.5, 1 / 301**0.5], [-0.5, 0.5]]),
    "columns": ("layer_norm", [[1, 10], [3, 14]], {"eps": 0, "axis": 0}, [[-1, -1], [1, 1]]),
    "both axes": ("layer_norm", [[0, 0], [0, 4]], {"eps": 1, "axis": (1, 0)}, [[-0.5, -0.5], [-0.5, 1.5]]),
    "rms": ("rms_norm", [1, 7], {"eps": 0}, [0.2, 1.4]),
    "rms eps": ("rms_norm", [1, 7], {"eps": 11}, [SIXTH, 7 * SIXTH]),
    "rms weight": ("rms_norm", [1, 7], {"eps": 0, "weight": [5, 10]}, [1, 14]),
    "rms columns": ("rms_norm", [[1, 3], [7, 3]], {"eps": 0, "axis": -2}, [[0.2, 1], [1.4, 1]]),
    "weight per row": ("rms_norm", [[1, 7], [1, 7]], {"eps": 0, "weight": [[5], [10]]}, [[1, 7], [2, 14]]),
}


@pytest.mark.parametrize("case", WORKED)
def test_worked_by_hand(case):
    name, x, options, expected = WORKED[case]
    y = getattr(reference, name)(x, **options)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, expected, rtol=1e-15, atol=0)


def test_statistics_worked_by_hand():
    y, mean, rstd = reference.layer_norm([[1, 3], [4, 4]], eps=3, return_stats=True)
    np.testing.assert_array_equal(y, [[-0.5, 0.5], [0, 0]])
    np.testing.assert_array_equal(mean, [[2], [4]])
    np.testing.assert_allclose(rstd, [[0.5], [3**-0.5]], rtol=1e-15)
    y, rstd = reference.rms_norm([[1, 7], [0, 0]], eps=11, return_stats=True)
    np.testing.assert_allclose(rstd, [[SIXTH], [11**-0.5]], rtol=1e-15)


def naive(name, x, weight=None, bias=None, *, axis=-1, eps, center=True):
    """y, mean and rstd in long double: one loop over the statistics, one over the elements of each."""
    axes = {one % x.ndim for one in (axis if isinstance(axis, tuple) else (axis,))}

    def parameter(values, neutral):
        if values is None:
            return np.full(x.shape, neutral, np.longdouble)
        if values.ndim != x.ndim:
            values = np.expand_dims(values, tuple(i for i in range(x.ndim) if i not in axes))
        return np.broadcast_to(values, x.shape).astype(np.longdouble)

    weight, bias = parameter(weight, 1), parameter(bias, 0)
    y = np.empty(x.shape, np.longdouble)
    kept_shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    means, rstds = np.empty((2, *kept_shape), np.longdouble)
    for kept in np.ndindex(kept_shape):
        members = [i for i in np.ndindex(x.shape) if all(i[k] == kept[k] for k in range(x.ndim) if k not in axes)]
        values = [np.longdouble(x[i]) for i in members]
        mean = sum(values) / len(values)
        if name == "rms_norm":
            spread = sum(value * value for value in values)
        else:
            spread = sum((value - mean) * (value - mean) for value in values)
        rstd = 1 / np.sqrt(spread / len(values) + np.longdouble(eps))
        means[kept], rstds[kept] = mean, rstd
        shift = mean if name == "layer_norm" and center else np.longdouble(0)
        for i, value in zip(members, values, strict=True):
            y[i] = (value - shift) * rstd * weight[i] + bias[i]
    return y, means, rstds


PARAMETERS = {
    None: None,
    "own": lambda shape, axes: tuple(shape[i] for i in sorted(axes)),
    "full": lambda shape, axes: shape,
    "per row": lambda shape, axes: tuple(1 if i in axes else n for i, n in enumerate(shape)),
}


@pytest.mark.parametrize("axis", [-1, 0, 1, (1, 2), (2, 0), (-1, 0, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_against_long_double(name, axis):
    rng = np.random.default_rng(3)
    x = rng.normal(2, 3, (2, 3, 4))
    axes = {one % 3 for one in (axis if isinstance(axis, tuple) else (axis,))}
    function = getattr(reference, name)
    biases = PARAMETERS if name == "layer_norm" else (None,)
    for weight_kind, bias_kind, center, eps in itertools.product(PARAMETERS, biases, (True, False), (0.0, 0.5)):
        options = {}
        for parameter, kind in (("weight", weight_kind), ("bias", bias_kind)):
            if kind is not None:
                options[parameter] = rng.normal(1, 1, PARAMETERS[kind](x.shape, axes))
        if name == "layer_norm":
            options["center"] = center
        y, *statistics = function(x, axis=axis, eps=eps, return_stats=True, **options)
        expected, *expected_statistics = naive(name, x, axis=axis, eps=eps, **options)
        np.testing.assert_allclose(y, expected.astype(float), rtol=1e-13, atol=1e-14)
        for one, other in zip(statistics, expected_statistics[-len(statistics) :], strict=True):
            assert one.dtype == np.float64
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other.astype(float), rtol=1e-14)
        np.testing.assert_array_equal(function(x, axis=axis, eps=eps, **options), y)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_function_less_out(name):
    expected = dict(inspect.signature(getattr(fastnorm, name)).parameters)
    del expected["out"]
    actual = inspect.signature(getattr(reference, name)).parameters
    assert {key: (p.default, p.kind) for key, p in actual.items()} == {
        key: (p.default, p.kind) for key, p in expected.items()
    }
    assert list(actual) == list(expected)


@pytest.mark.parametrize("name", NAMES)
def test_result_dtype(name):
    function = getattr(reference, name)
    for given in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64):
        x = np.array([1, 2, 4], given)
        assert function(x).dtype == given
        assert function(x, weight=np.ones(3)).dtype == given
        for asked in (np.float16, ml_dtypes.bfloat16, "float32", np.float64):
            assert function(x, dtype=asked).dtype == np.dtype(asked)
    for given in (bool, np.int8, np.uint64):
        assert function(np.array([0, 1, 1], given)).dtype == np.float64
    assert function([1, 2], dtype=np.float16).dtype == np.float16


@pytest.mark.parametrize(
    ("dtype", "digits"), [(np.float16, 10), (ml_dtypes.bfloat16, 7), (np.float32, 23)], ids=["f16", "bf16", "f32"]
)
@pytest.mark.parametrize("name", NAMES)
def test_result_is_rounded_once(name, dtype, digits):
    """Just above half a unit: float64 to the dtype rounds up, by way of float32 it would round to even, down."""
    weight = 1 + 2.0 ** -(digits + 1) + 2.0**-45
    x = np.array([-1.0, 1.0])
    y = getattr(reference, name)(x, np.array([weight, weight]), eps=0.0, dtype=dtype)
    np.testing.assert_array_equal(y.astype(float), x * (1 + 2.0**-digits))


@pytest.mark.parametrize("name", NAMES)
def test_accepts_what_the_function_accepts(name):
    function = getattr(reference, name)
    x = np.arange(12.0).reshape(3, 4) % 5
    np.testing.assert_array_equal(function(x, axis=np.int64(1)), function(x))
    np.testing.assert_array_equal(function(x, axis=[0, 1]), function(x, axis=(0, 1)))
    np.testing.assert_array_equal(function(x.tolist(), weight=[1, 2, 3, 4]), function(x, weight=np.arange(1, 5)))
    np.testing.assert_array_equal(function(x.astype(">f4")), function(x.astype("f4")))


@pytest.mark.parametrize("axis", [2, -3, (0, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_axis_out_of_range_is_refused(name, axis):
    with pytest.raises(AxisError):
        getattr(reference, name)(np.ones((3, 4)), axis=axis)


@pytest.mark.parametrize(("shape", "axis"), [((2, 0), -1), ((0, 3), -1), ((0, 3), 0), ((0,), 0), ((2, 0, 3), (1, 2))])
@pytest.mark.parametrize("name", NAMES)
def test_empty(name, shape, axis):
    y, *statistics = getattr(reference, name)(np.empty(shape, np.float32), axis=axis, return_stats=True)
    assert (y.shape, y.dtype) == (shape, np.float32)
    for one in statistics:
        assert one.shape == np.empty(shape).sum(axis=axis, keepdims=True).shape
        assert np.isnan(one).all()


def test_eps_zero_of_constant_data_is_nan():
    with np.errstate(all="ignore"):
        assert np.isnan(reference.layer_norm([3.0, 3.0], eps=0)).all()
        assert np.isnan(reference.rms_norm([0.0, 0.0], eps=0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_left_alone_and_the_result_is_new(name):
    x, weight = np.array([1.0, 2.0, 5.0]), np.ones(3)
    x.flags.writeable = weight.flags.writeable = False
    y = getattr(reference, name)(x, weight)
    assert not np.may_share_memory(x, y)
    assert y.flags.writeable
