"""The reference of what scales without a mean against PyTorch and scikit-learn, all in float64."""

import warnings

import numpy as np
import pytest
from arrays import normal

from fastnorm import reference

CLOSE = {"rtol": 2e-14, "atol": 0}  # a hundred roundings


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 15])
@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 7, 3, 4), (1, 3, 2, 3, 4)])
def test_response_of_pytorch(shape, size):
    torch = pytest.importorskip("torch")
    x = normal(shape, "float64", scale=3.0)
    for options in ({}, {"alpha": 0.5, "beta": 0.6, "k": 2.0}, {"alpha": 2.0, "beta": 1.0, "k": 0.5}):
        expected = torch.nn.functional.local_response_norm(torch.from_numpy(x), size, **options).numpy()
        np.testing.assert_allclose(reference.local_response_norm(x, size, **options), expected, **CLOSE)


@pytest.mark.parametrize("p", [2, 1, 3, 0.5, 1.5, 0, np.inf, -np.inf, -1, -2.5])
@pytest.mark.parametrize("axis", [1, 0, -1])
def test_length_of_pytorch(axis, p):
    torch = pytest.importorskip("torch")
    x = normal((4, 5, 6), "float64")
    x[0, 0], x[1], x[2, :, 3] = 0, 0, 0
    for eps in (1e-12, 2.0):
        expected = torch.nn.functional.normalize(torch.from_numpy(x), p, axis, eps).numpy()
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(reference.normalize(x, p=p, axis=axis, eps=eps), expected, **CLOSE)


@pytest.mark.parametrize("feature_range", [(0, 1), (-1, 1), (2.5, 7)])
@pytest.mark.parametrize("axis", [0, 1])
def test_range_of_scikit_learn(axis, feature_range):
    """Constant features and NaN too; it works with x * scale + min, which cancels where x is far from 0."""
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = normal((20, 9), "float64", offset=3.0)
    x[:, 2], x[4], x[5, 5], x[6, 5] = 7, -1, np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = preprocessing.minmax_scale(x, feature_range, axis=axis)
    y = reference.min_max_scale(x, axis=axis, feature_range=feature_range)
    distance = np.nanmax(x, axis, keepdims=True) - np.nanmin(x, axis, keepdims=True)
    cancelled = np.where(distance, np.nanmax(np.abs(x), axis, keepdims=True) / np.where(distance, distance, 1), 1)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    allowed = 4 * 2.0**-53 * (np.max(np.abs(feature_range)) + cancelled * np.ptp(feature_range))
    assert (np.abs(y - expected) <= allowed + 0 * y)[~np.isnan(x)].all()
