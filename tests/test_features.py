"""`standardize` and `moments`: what they take and refuse, their edge cases, and data that comes in parts."""

import pickle
import re

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, normal
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm

AxisError = getattr(np, "exceptions", np).AxisError  # NumPy 1.24 has it in its main namespace
X = normal((6, 4), offset=1.0)


@pytest.fixture(params=["standardize", "moments"])
def function(request):
    """Each of the two."""
    return getattr(fastnorm, request.param)


AXES = [
    (2, AxisError, "^axis: axis 2 is out of bounds for array of dimension 2$"),
    ((0, -3), AxisError, "^axis: axis -3 is out of bounds"),
    ((), ValueError, "^axis is empty, expected at least one axis$"),
    ((0, -2), ValueError, "^axis is .*, which names an axis of x twice"),
    (0.0, TypeError, "^axis has type float, expected an int or a tuple of ints$"),
]


@pytest.mark.parametrize(("axis", "kind", "message"), AXES, ids=str)
def test_axes_are_refused(function, axis, kind, message):
    with pytest.raises(kind, match=message):
        function(X, axis=axis)


def test_inputs_are_refused(function):
    for x, message in [(X.astype("c8"), "has dtype complex64, expected "), (np.ma.array(X), "is a masked array")]:
        with pytest.raises(TypeError, match="^x " + message):
            function(x)


@pytest.mark.parametrize("ddof", [None, 0.5, 1.0, "1"])
def test_what_is_no_ddof_is_refused(ddof):
    message = rf"^ddof is {re.escape(repr(ddof))}, expected an int$"
    for call in (fastnorm.moments(X).var, fastnorm.moments(X).std, lambda **one: fastnorm.standardize(X, **one)):
        with pytest.raises(TypeError, match=message):
            call(ddof=ddof)


def test_results_are_refused():
    for out, kind, message in [
        (np.full((4, 6), 77.0), ValueError, r"has shape \(4, 6\), expected \(6, 4\), the shape of x$"),
        (LAYOUTS["read-only"](X), ValueError, "is read-only"),
        (np.full((6, 4), 77), TypeError, "has dtype int64"),
    ]:
        before = out.copy()
        with pytest.raises(kind, match="^out " + message):
            fastnorm.standardize(X, out=out)
        assert_array_equal(out, before)


@pytest.mark.parametrize("ddof", [0, 1, 3])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_standardize(axis, ddof):
    x = X.astype(float)
    y, mean, rstd = fastnorm.standardize(X, axis=axis, ddof=ddof, return_stats=True)
    assert y.dtype == np.float32
    assert mean.dtype == rstd.dtype == np.float64
    assert_allclose(mean, x.mean(axis, keepdims=True), rtol=1e-6)
    assert_allclose(rstd, 1 / x.std(axis, ddof=ddof, keepdims=True), rtol=1e-6)
    assert_allclose(y, (x - mean) * rstd, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "int64", "float32"])
def test_constant_features_give_0(dtype):
    x = np.array([[0.1, 1e9, 0, 1], [0.1, 1e9, 0, 2], [0.1, 1e9, 0, 3]]).astype(dtype)
    y, mean, rstd = fastnorm.standardize(x, return_stats=True)
    assert_array_equal(y[:, :3], 0)
    assert_array_equal(rstd[:, :3], 0)
    assert_array_equal(mean[0, :3], x[0, :3])
    assert_allclose(y[:, 3], [-(1.5**0.5), 0, 1.5**0.5], rtol=1e-6)


@pytest.mark.parametrize("ddof", [6, 7])
def test_nothing_left_to_divide_by_gives_nan(ddof):
    for x in (X, np.ones_like(X)):
        y, _, rstd = fastnorm.standardize(x, ddof=ddof, return_stats=True)
        assert np.isnan(y).all()
        assert np.isnan(rstd).all()
        assert np.isnan(fastnorm.moments(x, axis=0).var(ddof=ddof)).all()


def test_standardize_in_place_and_empty():
    x, expected = X.copy(), fastnorm.standardize(X)
    assert fastnorm.standardize(x, out=x) is x
    assert_array_equal(x, expected)
    y, mean, rstd = fastnorm.standardize(np.empty((0, 4), "f4"), return_stats=True)
    assert (y.shape, y.dtype, mean.shape, rstd.shape) == ((0, 4), np.float32, (1, 4), (1, 4))
    assert np.isnan(mean).all()


@pytest.mark.parametrize("dtype", [*DTYPES, "int16", "bool"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), [1, 2], (2, 0, 1)])
def test_moments(axis, dtype):
    x = normal((3, 4, 5), "float32", offset=1.0).astype(normal(1, dtype).dtype)
    whole, values = fastnorm.moments(x, axis=axis), x.astype(float)
    axes = tuple(axis) if isinstance(axis, list) else axis
    mean = values.mean(axes)
    assert type(whole.count) is int
    assert whole.count == x.size // mean.size
    assert type(whole.mean) is type(whole.m2) is type(mean)
    assert whole.mean.shape == whole.m2.shape == mean.shape
    assert whole.mean.dtype == whole.m2.dtype == np.float64
    assert_allclose(whole.mean, mean, rtol=1e-13, atol=1e-15)
    assert_allclose(whole.m2, values.var(axes) * whole.count, rtol=1e-13)
    for ddof in (0, 1):
        assert_allclose(whole.var(ddof), values.var(axes, ddof=ddof), rtol=1e-13)
        assert_allclose(whole.std(ddof=ddof), values.std(axes, ddof=ddof), rtol=1e-13)


def test_moments_of_one_number():
    one = fastnorm.moments(3)
    assert (one.count, one.mean, one.m2, one.var()) == (1, 3.0, 0.0, 0.0)
    assert np.isnan(one.std(ddof=1))


def test_moments_of_nothing_are_the_identity_of_merge():
    for axis, shape in [(None, ()), (0, (4,)), (1, (0,))]:
        none = fastnorm.moments(np.empty((0, 4)), axis=axis)
        assert none.count == (4 if axis == 1 else 0)
        assert np.shape(none.mean) == np.shape(none.m2) == shape
        assert np.isnan(none.mean).all()
        assert np.isnan(none.var()).all()
    none, some = fastnorm.moments(np.empty((0, 4)), axis=0), fastnorm.moments(X, axis=0)
    for merged in (none.merge(some), some.merge(none)):
        assert merged.count == 6
        assert_array_equal(merged.mean, some.mean)
        assert_array_equal(merged.m2, some.m2)
    assert none.merge(none).count == 0


@pytest.mark.parametrize("offset", [0, 1e6])
def test_merged_parts_are_the_whole(offset):
    x = normal((1000, 3), "float64", offset=offset)
    parts = [fastnorm.moments(part, axis=0) for part in np.split(x, [1, 10, 10, 400, 999])]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    whole = fastnorm.moments(x, axis=0)
    assert merged.count == whole.count == 1000
    assert_allclose(merged.mean, whole.mean, rtol=1e-13, atol=1e-15)
    assert_allclose(merged.m2, whole.m2, rtol=1e-9 if offset else 1e-13)


def test_merge_refuses_what_does_not_fit():
    whole = fastnorm.moments(X, axis=0)
    with pytest.raises(ValueError, match=r"^other has means of shape \(6,\), expected \(4,\)$"):
        whole.merge(fastnorm.moments(X, axis=1))
    with pytest.raises(TypeError, match=r"^other has type tuple, expected Moments$"):
        whole.merge((6, whole.mean, whole.m2))


def test_moments_are_pickled_and_not_changed():
    whole = fastnorm.moments(X, axis=0)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(whole, protocol))
        assert again.count == 6
        assert_array_equal([again.mean, again.m2], [whole.mean, whole.m2])
    with pytest.raises(AttributeError):
        whole.count = 7
