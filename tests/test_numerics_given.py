"""The numeric contract of evaluation, whose statistics are given: of any size, and in float64 whatever x is.

What x itself has is never so far from it: here the mean may lie beyond x's type, or the variance have no root.
"""

import numpy as np
import pytest
from arrays import normal

import fastnorm

# The judge of these is long double, which is no wider than double on 32-bit Arm, on Apple's and on Windows.
needs_a_wider_judge = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is double here")

# x, running_mean and running_var for each channel.
GIVEN = {"(N, C)": ((40, -1), 1), "NCL": ((2, -1, 20), 1), "NLC": ((2, 20, -1), -1), "one sample": ((1, -1), 1)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", GIVEN)
def test_running_variances_that_have_no_root(shape, dtype):
    """0 or negative, infinite or NaN: the result that NumPy gives."""
    shape, channel_axis = GIVEN[shape]
    var = np.array([0.0, -0.0, -1e-5, -1.0, np.inf, np.nan, 1e-300, 4.0])
    mean = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.inf])
    shape = [var.size if n == -1 else n for n in shape]
    x = normal(shape, dtype)
    x[..., :1] = 1.0 if channel_axis == 1 else x[..., :1]
    spread = [-1 if axis == channel_axis % len(shape) else 1 for axis in range(len(shape))]
    for eps in (0.0, 1e-5):
        y = fastnorm.batch_norm(x, mean, var, eps=eps, channel_axis=channel_axis)
        with np.errstate(all="ignore"):
            expected = (x.astype(np.float64) - mean.reshape(spread)) * (1 / np.sqrt(var + eps)).reshape(spread)
            np.testing.assert_allclose(y, expected.astype(dtype), rtol=1e-6 if dtype == "float32" else 1e-15)


@pytest.mark.parametrize("shape", GIVEN)
def test_running_means_with_more_digits_than_x(shape):
    """float64 running statistics are used as they are, where x lies so near that float32 hardly tells them apart."""
    shape, channel_axis = GIVEN[shape]
    shape = [8 if n == -1 else n for n in shape]
    spread = [-1 if axis == channel_axis % len(shape) else 1 for axis in range(len(shape))]
    mean = normal(8, "float64", offset=1e4, seed=3)
    x = (mean.reshape(spread) + normal(shape, "float64", scale=1e-3)).astype(np.float32)
    var = np.full(8, 1e-6)
    y = fastnorm.batch_norm(x, mean, var, eps=0.0, channel_axis=channel_axis)
    expected = (x.astype(np.longdouble) - mean.reshape(spread)) / np.sqrt(np.longdouble(1e-6))
    assert np.max(np.abs(y - expected) / np.spacing(np.abs(expected).max().astype(np.float32))) <= 3


def values_near(mean, dtype):
    """The ends of the range, both zeros, the smallest numbers, and the neighbours of the mean."""
    info = np.finfo(dtype)
    largest = float(info.max)
    near = np.array(min(max(mean, -largest), largest), dtype)
    with np.errstate(over="ignore"):
        beside = [np.nextafter(near, np.array(way, dtype)) for way in (-np.inf, np.inf)]
    own = [0.0, -0.0, 1.0, -3.0, 1e10, 1e-30, largest, -largest, info.smallest_subnormal]
    values = np.array([*own, near, *beside], dtype)
    return values[np.isfinite(values)]


@needs_a_wider_judge
@pytest.mark.parametrize("shape", GIVEN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mean", [0.0, 3.0, 0.1, -1e-20, 1e10, 3e38, -1e45, 1e200, -1.7e308])
def test_running_statistics_of_any_size(mean, dtype, shape):
    """(x - mean) / sqrt(var + eps) * weight + bias, finite or infinite by its value, and never NaN."""
    values, largest = values_near(mean, dtype), float(np.finfo(dtype).max)
    shape, channel_axis = GIVEN[shape]
    shape = [values.size if n == -1 else n for n in shape]
    spread = [-1 if axis == channel_axis % len(shape) else 1 for axis in range(len(shape))]
    x = np.broadcast_to(values.reshape(spread), shape).copy()
    for var, eps in [
        (0.0, 1e-300),
        (1e-78, 0.0),
        (1e-90, 0.0),
        (1e-300, 1e-29),
        (1.0, 1e-5),
        (1e60, 0.0),
        (1e300, 0.0),
    ]:
        wide = (values.astype(np.longdouble) - np.longdouble(mean)) / np.sqrt(np.longdouble(var) + np.longdouble(eps))
        for weight, bias in [(1.0, 0.0), (1e30, 2.0), (-1e-30, 0.0), (0.0, 1.0)]:
            parameters = [np.full(values.size, one, dtype) for one in (weight, bias)]
            running = [np.full(values.size, one) for one in (mean, var)]
            y = fastnorm.batch_norm(x, *running, *parameters, eps=eps, channel_axis=channel_axis)
            expected = (wide * parameters[0] + parameters[1]).reshape(spread)
            unit = np.longdouble(np.finfo(dtype).eps)
            allowed = 4 * unit * (abs(expected) + abs(bias)) + np.longdouble(np.finfo(dtype).smallest_subnormal)
            with np.errstate(over="ignore"):
                stored = expected.astype(dtype)
            # Beyond the range the mean's own rounding error counts as the largest number: x may be the mean but for it.
            near_mean = (abs(y) == largest) & (np.sign(y) == np.sign(stored)) & (abs(expected) > largest)
            right = (y == stored) | (abs(y - expected) <= allowed) | near_mean
            assert right.all(), (var, eps, weight, x[~right], y[~right])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("form", [lambda x: x, lambda x: np.ascontiguousarray(x.T[None])], ids=["columns", "rows"])
def test_a_huge_eps_does_not_show_in_the_running_statistics(form, scale):
    """They are of x alone, whatever is done to hold x and eps in one range."""
    x = normal((500, 7), offset=2.0) * np.float32(scale)
    mean, var = np.zeros(7), np.zeros(7)
    y = fastnorm.batch_norm(form(x), mean, var, training=True, momentum=1.0, eps=1e200)
    assert not y.any()
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(var, wide.var(axis=0, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 40, 8), (200, 40), (8, 40)])
def test_a_running_mean_of_minus_zero_beside_an_infinite_one(shape):
    """x - mean has the sign that IEEE arithmetic gives it, whatever other channels hold."""
    x = np.full(shape, -0.0, np.float32)
    mean, var = np.full(40, -0.0), np.ones(40)
    mean[::2] = 0.0
    for last in (0.0, np.inf):
        mean[-1] = last
        y = np.signbit(fastnorm.batch_norm(x, mean, var))[:, :-1]
        assert y[:, ::2].all()
        assert not y[:, 1::2].any()
