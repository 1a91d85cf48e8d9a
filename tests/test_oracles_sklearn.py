"""Against scikit-learn's scaler: `standardize` is what it returns, `Moments.merge` what it learns batch by batch."""

import numpy as np
import pytest
from arrays import LAYOUTS, normal

import fastnorm
from fastnorm._bench.agreement import UNIT_ROUNDOFF, roundings

preprocessing = pytest.importorskip("sklearn.preprocessing")

SHAPES = [(2, 3), (7, 1), (100, 13), (1025, 4), (3, 300)]


def table(shape, dtype, **options):
    """Features of different means and spreads."""
    spread = 10.0 ** np.linspace(-1, 1, shape[1])
    return (normal(shape, "float64", **options) * spread + 3 * spread[::-1]).astype(dtype)


def bounds(x, axis=0):
    """What both may round of the results, for each statistic.

    Ours in proportion to a result (at most 6), in x's dtype; scikit-learn's to x over its deviation, in float64.
    """
    x, u = x.astype(np.float64), UNIT_ROUNDOFF[x.dtype.name]
    theirs = np.abs(x).max(axis=axis, keepdims=True) / x.std(axis=axis, keepdims=True)
    return roundings(x.shape[axis]) * (6 * u + theirs * UNIT_ROUNDOFF["float64"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["contiguous", "Fortran", "every second"])
def test_scale(layout, shape, dtype):
    """It gets float64: with less it computes in less, and loses the digits that the mean takes."""
    x = LAYOUTS[layout](table(shape, dtype))
    for axis in [0, 1] if shape[1] > 1 else [0]:
        expected = preprocessing.scale(x.astype(np.float64), axis=axis)
        y = fastnorm.standardize(x, axis=axis)
        assert y.dtype == dtype
        assert (np.abs(y - expected) <= bounds(x, axis)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_scaler(shape, dtype):
    """Without one of its halves the scaler only divides, or only subtracts: the statistics do either."""
    x = table(shape, dtype)
    wide, allowed = x.astype(np.float64), bounds(x)
    scaler = preprocessing.StandardScaler().fit(wide)
    y, mean, rstd = fastnorm.standardize(x, return_stats=True)
    assert (np.abs(y - scaler.transform(wide)) <= allowed).all()
    assert (np.abs(mean - scaler.mean_) <= allowed * scaler.scale_).all()
    assert (np.abs(rstd * scaler.scale_ - 1) <= allowed).all()
    centred = preprocessing.StandardScaler(with_std=False).fit_transform(wide)
    scaled = preprocessing.StandardScaler(with_mean=False).fit_transform(wide)
    assert (np.abs(wide - mean - centred) <= allowed * scaler.scale_).all()
    assert (np.abs(wide * rstd - scaled) <= allowed * np.abs(scaled)).all()


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -3.3, 1e-8, 1e8, 123456.789])
@pytest.mark.parametrize("n", [2, 10, 1000, 2049])
def test_constant_features(n, value):
    """Constant, constant within a rounding, and hardly not constant: the same features are 0 on both sides."""
    x = np.full((n, 4), value)
    if value:  # the square of a subnormal is 0 there, and rescued here
        x[0, 1] = np.nextafter(value, np.inf)
    x[0, 2] += abs(value) * 1e-10 + 1e-20
    x[:, 3] = normal(n, "float64")
    scaler = preprocessing.StandardScaler().fit(x)
    y, _, rstd = fastnorm.standardize(x, return_stats=True)
    constant = scaler.scale_ == 1  # what scikit-learn puts for a deviation that is no more than rounding
    np.testing.assert_array_equal(rstd[0] == 0, constant)
    assert not y[:, constant].any()
    assert y[:, ~constant].any(axis=0).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("batches", [1, 2, 7, 40])
def test_merge_is_partial_fit(batches, dtype):
    x = table((1200, 5), dtype, offset=1.0)
    parts = np.array_split(x, batches)
    scaler = preprocessing.StandardScaler()
    for part in parts:
        scaler.partial_fit(part.astype(np.float64))
    merged = fastnorm.moments(parts[0], axis=0)
    for part in parts[1:]:
        merged = merged.merge(fastnorm.moments(part, axis=0))
    # Each batch rounds as often as its elements are added, each merge some times more, in proportion to x.
    u = (len(x) / batches + 8 * batches) * UNIT_ROUNDOFF["float64"]
    relative = u * np.abs(x).max(axis=0).astype(np.float64) / scaler.scale_
    assert merged.count == scaler.n_samples_seen_
    assert (np.abs(merged.mean - scaler.mean_) <= relative * scaler.scale_).all()
    assert (np.abs(merged.var() / scaler.var_ - 1) <= 2 * relative).all()
    assert (np.abs(merged.std() / scaler.scale_ - 1) <= relative).all()
