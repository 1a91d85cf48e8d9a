"""The reference of the functions of data sets against values worked by hand and loops in long double."""

import inspect

import numpy as np
import pytest

import fastnorm
from fastnorm import reference

X = [[1, 3], [3, 9]]  # two samples of two features: means 2 and 6, variances 1 and 9
CLOSE = {"rtol": 1e-13, "atol": 1e-14}


def groups_of(shape, label):
    """The indices of x by the statistic that `label` says they belong to."""
    found = {}
    for index in np.ndindex(shape):
        found.setdefault(label(index), []).append(index)
    return found


def naive(x, label, eps, ddof=0):
    """(x - mean) / sqrt(var + eps) in long double, one statistic after another; and mean and variance of each."""
    y, statistics = np.empty(x.shape, np.longdouble), {}
    for key, members in groups_of(x.shape, label).items():
        values = [np.longdouble(x[index]) for index in members]
        mean = sum(values) / len(values)
        variance = sum((value - mean) * (value - mean) for value in values) / (len(values) - ddof)
        statistics[key] = mean, variance
        for index, value in zip(members, values, strict=True):
            y[index] = (value - mean) / np.sqrt(variance + np.longdouble(eps))
    return y, statistics


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (2, 0)])
def test_features_against_long_double(axis, ddof):
    x = np.random.default_rng(4).normal(2, 3, (3, 4, 5))
    axes = {one % 3 for one in (axis if isinstance(axis, tuple) else (axis,))}
    t, statistics = naive(x, lambda index: tuple(index[one] for one in range(3) if one not in axes), 0.0, ddof)
    np.testing.assert_allclose(reference.standardize(x, axis=axis, ddof=ddof), t.astype(float), **CLOSE)
    got = reference.moments(x, axis=axis)
    assert got.count == x.size // got.mean.size
    for key, (mean, variance) in statistics.items():
        np.testing.assert_allclose(got.mean[key], float(mean), rtol=1e-14)
        np.testing.assert_allclose(got.var(ddof)[key], float(variance), rtol=1e-14)
        np.testing.assert_allclose(got.std(ddof)[key], float(np.sqrt(variance)), rtol=1e-14)


def test_moments_worked_by_hand():
    whole = reference.moments(X)
    assert (whole.count, whole.mean, whole.m2) == (4, 4, 36)
    assert (whole.var(), whole.var(ddof=1), whole.std()) == (9, 12, 3)
    first, second = reference.moments([1, 3]), reference.moments([3, 9])
    merged = first.merge(second)
    assert (merged.count, merged.mean, merged.m2) == (4, 4, 36)
    columns = reference.moments(X, axis=0)
    np.testing.assert_array_equal(columns.mean, [2, 6])
    np.testing.assert_array_equal(columns.m2, [2, 18])
    scalar = reference.moments(5)
    assert (scalar.count, scalar.mean, scalar.m2) == (1, 5, 0)
    assert np.isnan(scalar.var(ddof=1))


def test_empty_moments_are_the_identity_of_merge():
    empty, some = reference.moments([]), reference.moments([1, 3])
    assert empty.count == 0
    assert np.isnan(empty.mean)
    for merged in (empty.merge(some), some.merge(empty)):
        assert (merged.count, merged.mean, merged.m2) == (2, 2, 2)
    assert empty.merge(empty).count == 0


def test_moments_have_what_the_function_s_have():
    for method in ("merge", "var", "std"):
        actual, expected = (
            inspect.signature(getattr(module.Moments, method)).parameters.values() for module in (reference, fastnorm)
        )
        assert [(p.name, p.default) for p in actual] == [(p.name, p.default) for p in expected]


def test_standardize_constants():
    """Constant within rounding is 0 and not noise; with no degrees of freedom left there is no deviation at all."""
    x = np.full((10, 3), 0.1)
    x[0, 1] += 2.0**-56  # one unit in the last place
    x[0, 2] += 1e-10
    y, _, rstd = reference.standardize(x, return_stats=True)
    assert not y[:, :2].any()
    assert not rstd[:, :2].any()
    np.testing.assert_allclose(y[:, 2], [3, *[-1 / 3] * 9], rtol=1e-5)
    for ddof in (10, 11):
        assert np.isnan(reference.standardize(x, ddof=ddof)).all()
