"""`normalize` and `min_max_scale`: their formulas in every layout, the ends of the range, and what they refuse."""

import math

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, SAME_ORDER, dtype_of, normal, swapped
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.testing import assert_array_equal

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import distance, roundings, tolerance
from fastnorm._kernels.isa import has_fma

AxisError = getattr(np, "exceptions", np).AxisError  # NumPy 1.24 has it in its main namespace
POWERS = [1, 2, math.inf, -math.inf, 3, 0.5, 0, -1, -2.5, 40]
# Rows and columns, each shorter and longer than a vector, a leaf and a tile; and more than one word holds.
SHAPES = [
    ((5, 37), 1),
    ((5, 37), 0),
    ((3, 700), 1),
    ((700, 3), 0),
    ((300, 530), 0),
    ((4, 6, 5, 7), 1),
    ((3, 4, 5), (0, 2)),
    ((4, 6, 5, 7), (0, 2)),
    ((3, 4, 5, 2, 6), (0, 2, 4)),
]


def largest(values, axis):
    """The largest magnitude of each statistic; 0 of NaN."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    return np.fmax.reduce(np.abs(values), axis=axes, keepdims=True, initial=0.0)


def length(shape, axis):
    return math.prod(shape[one] for one in (axis if isinstance(axis, tuple) else (axis,)))


def error(y, x, expected, axis, *, width=0.0, p=2):
    """Worst error in units of what rounding explains; the reference's sums round, too, and a root may multiply that."""
    wide = "float64" in (x.dtype.name, y.dtype.name) or x.dtype.kind in "iub"
    k = roundings(length(x.shape, axis)) * (2 if wide else 1) * max(1.0, 1 / abs(p) if p else 1.0)
    scale = largest(expected, axis) + width
    return distance(y, expected, tolerance(expected, scale, k, y.dtype.name, wide=wide))


def normalized(x, **options):
    """The reference of float64 values, before it is rounded."""
    with np.errstate(all="ignore"):
        return reference.normalize(x.astype(np.float64), **options)


def scaled(x, **options):
    with np.errstate(all="ignore"):
        return reference.min_max_scale(x.astype(np.float64), **options)


def end_error(y, x, axis, low, high):
    """Of min_max_scale: x - min rounds in proportion to the range of x, which becomes that of y."""
    return error(y, x, scaled(x, axis=axis, feature_range=(low, high)), axis, width=abs(low) + abs(high))


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_normalize_agrees_with_the_formula(dtype, p):
    for shape, axis in SHAPES:
        x = normal(shape, dtype, offset=0.5, seed=3)
        y = fastnorm.normalize(x, p=p, axis=axis)
        assert y.dtype == x.dtype
        assert error(y, x, normalized(x, p=p, axis=axis), axis, p=p) <= 1, (shape, axis)


@pytest.mark.parametrize("feature_range", [(0, 1), (-1, 1), (0.1, 0.7), (-300.0, -299.0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_min_max_scale_agrees_with_the_formula(dtype, feature_range):
    for shape, axis in SHAPES:
        x = normal(shape, dtype, offset=100.0, seed=4)
        y = fastnorm.min_max_scale(x, axis=axis, feature_range=feature_range)
        assert y.dtype == x.dtype
        assert end_error(y, x, axis, *feature_range) <= 1, (shape, axis)


CALLS = {
    "1": lambda x, **options: fastnorm.normalize(x, p=1, **options),
    "2": fastnorm.normalize,
    "largest": lambda x, **options: fastnorm.normalize(x, p=math.inf, **options),
    "power": lambda x, **options: fastnorm.normalize(x, p=3, **options),
    "range": lambda x, **options: fastnorm.min_max_scale(x, feature_range=(-1, 3), **options),
}
EXPECTED = {
    "1": lambda x, axis: normalized(x, p=1, axis=axis),
    "2": lambda x, axis: normalized(x, axis=axis),
    "largest": lambda x, axis: normalized(x, p=math.inf, axis=axis),
    "power": lambda x, axis: normalized(x, p=3, axis=axis),
    "range": lambda x, axis: scaled(x, axis=axis, feature_range=(-1, 3)),
}


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_of_every_kind(dtype, kind):
    call = CALLS[kind]
    for shape, axis in [((6, 5, 9), 1), ((6, 5, 9), 2), ((6, 40), 0), ((6, 40), 1), ((4, 3, 5, 6), (1, 3))]:
        x = normal(shape, dtype, seed=5)
        plain, expected = call(x, axis=axis), EXPECTED[kind](x, axis)
        for name, layout in LAYOUTS.items():
            other = layout(x)
            y = call(other, axis=axis)
            assert y.strides == np.empty_like(other, subok=False).strides, name
            assert error(y, x, expected, axis, width=4.0) <= 1, name
            if name in SAME_ORDER:
                assert_array_equal(y, plain, err_msg=name)
            out = LAYOUTS["padded"](np.zeros_like(x))
            assert call(other, axis=axis, out=out) is out
            assert_array_equal(out, y, err_msg=name)
        if dtype != "bfloat16":
            assert_array_equal(call(swapped(x), axis=axis), plain)
        inside = x.copy()
        assert call(inside, axis=axis, out=inside) is inside
        assert_array_equal(inside, plain)
        line = np.zeros(x.size + 1, x.dtype)
        line[:-1] = x.reshape(-1)
        call(line[:-1].reshape(shape), axis=axis, out=line[1:].reshape(shape))
        assert_array_equal(line[1:].reshape(shape), plain)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_results_of_another_dtype(call):
    x = normal((6, 40), "float16", seed=6)
    for dtype in DTYPES:
        out = np.empty(x.shape, dtype_of(dtype))
        wide = call(x.astype(np.float64) if dtype == "float64" else x.astype(np.float32), axis=1)
        assert_array_equal(call(x, axis=1, out=out), wide.astype(out.dtype))
    assert call(np.arange(12).reshape(3, 4), axis=1).dtype == np.float64


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_threads_change_no_bit(call):
    for shape, axis in [((1, 700_001), 1), ((3, 400_000), 1), ((60_000, 11), 0), ((5000, 130), 0), ((40, 16, 700), 1)]:
        x = normal(shape, seed=7)
        with fastnorm.threads(1):
            plain = call(x, axis=axis)
        for threads in (2, 3, 7):
            with fastnorm.threads(threads):
                assert_array_equal(call(x, axis=axis), plain)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("p", POWERS)
def test_norms_out_of_range(p, axis):
    for dtype, factors in [("float32", (1e30, 3e37, 1e-30, 1e-38)), ("float64", (1e200, 4e307, 1e-200, 1e-307))]:
        for factor in factors:
            x = np.clip(normal((40, 41), dtype, seed=8), -3, 3) * dtype_of(dtype).type(factor)
            y = fastnorm.normalize(x, p=p, axis=axis, eps=0)
            assert error(y, x, normalized(x, p=p, axis=axis, eps=0), axis, p=p) <= 1, factor
    x = np.full((40, 40), 2.0**-149, np.float32)  # the smallest
    y = fastnorm.normalize(x, p=p, axis=axis, eps=0)
    assert error(y, x, normalized(x, p=p, axis=axis, eps=0), axis, p=p) <= 1


@pytest.mark.parametrize("axis", [0, 1])
def test_the_largest_powers(axis):
    x = normal((30, 31), "float64", seed=9)
    for p in (500.0, -500.0, 1e5, 1e300, -1e300, 1e308, -1e308, 1e-3, -1e-3):
        y = fastnorm.normalize(x, p=p, axis=axis)
        expected = normalized(x, p=p, axis=axis)
        # A norm near the end of the range: the sum's root multiplies the sum's relative error by 1 / p.
        np.testing.assert_allclose(y, expected, rtol=1e-13 * max(1, 1 / abs(p)), atol=0)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_least_divisor(dtype, p, axis):
    x = np.zeros((20, 20), dtype_of(dtype))
    assert_array_equal(fastnorm.normalize(x, p=p, axis=axis), x)
    assert_array_equal(fastnorm.normalize(x, p=p, axis=axis, eps=np.finfo(np.float64).tiny), x)
    assert_array_equal(fastnorm.normalize(x, p=p, axis=axis, eps=1e-310), x)
    assert np.isnan(fastnorm.normalize(x, p=p, axis=axis, eps=0).astype(np.float32)).all()
    if p != 0:
        x = normal((20, 20), dtype, seed=10) * x.dtype.type(0.125)
        y = fastnorm.normalize(x, p=p, axis=axis, eps=1024.0)
        assert_array_equal(y, (x.astype(np.float64) / 1024).astype(x.dtype))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_stays_in_its_norm(dtype, p, axis):
    x = normal((20, 20), dtype, seed=11)
    for position, value in enumerate([np.nan, np.inf, -np.inf]):
        x[(position, 3) if axis else (3, position)] = value
    y = fastnorm.normalize(x, p=p, axis=axis)
    assert error(y, x, normalized(x, p=p, axis=axis), axis, p=p) <= 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_empty_inputs(call):
    for shape in [(0, 3), (3, 0), (2, 0, 3)]:
        assert call(np.empty(shape, np.float32), axis=1).shape == shape


finite = st.floats(-1e6, 1e6, width=32)
tables = st_numpy.arrays(np.float32, st_numpy.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=finite)


@given(tables, st.sampled_from([0, 1]), st.sampled_from([(0, 1), (-1, 1), (0, 255), (-0.3, 0.1), (1e-30, 3e-30)]))
def test_the_ends_are_met(x, axis, feature_range):
    y = fastnorm.min_max_scale(x, axis=axis, feature_range=feature_range)
    low, high = np.array(feature_range, np.float32)
    least, most = x.min(axis, keepdims=True), x.max(axis, keepdims=True)
    assert np.all(y[x == least] == low)
    assert np.all((low <= y) & (y <= high))
    at_end = y[(x == most) & (least < most)]
    if has_fma():
        assert np.all(at_end == high)
    else:
        np.testing.assert_allclose(at_end, high, rtol=0, atol=2.0**-22 * max(abs(low), abs(high)))


def test_the_ends_are_met_in_float64():
    x = normal((2000, 30), "float64", seed=12)
    y = fastnorm.min_max_scale(x, feature_range=(-0.3, 0.1))
    assert_array_equal(y.min(0), np.full(30, -0.3))
    np.testing.assert_allclose(y.max(0), 0.1, rtol=0, atol=0 if has_fma() else 2.0**-52)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_range_does_not_see(dtype, axis):
    x = normal((20, 20), dtype, offset=5.0, seed=13)
    put = (lambda i: (i, slice(None))) if axis else (lambda i: (slice(None), i))
    x[put(0)] = np.nan
    x[put(1)] = 7.0
    x[3, 3] = np.nan
    y = fastnorm.min_max_scale(x, axis=axis).astype(np.float64)
    assert_array_equal(np.isnan(y), np.isnan(x.astype(np.float64)))
    assert_array_equal(y[put(1)], np.zeros(20))
    assert end_error(y.astype(x.dtype), x, axis, 0, 1) <= 1


@pytest.mark.parametrize("axis", [0, 1])
def test_ranges_out_of_range(axis):
    for dtype, top, least in [("float32", 3.4e38, 2.0**-149), ("float64", 1.7e308, 5e-324)]:
        ends = np.array([[-top, -top / 2], [0, top]], dtype)
        assert end_error(fastnorm.min_max_scale(ends, axis=axis), ends, axis, 0, 1) <= 1
        small = np.arange(30, dtype=dtype)[:, None] * np.ones(30, dtype) * dtype_of(dtype).type(least)
        small = small if axis == 0 else small.T
        assert end_error(fastnorm.min_max_scale(small, axis=axis), small, axis, 0, 1) <= 1


def test_infinite_values_give_what_the_formula_gives():
    x = np.array([[1.0, np.inf], [2.0, 3.0], [-np.inf, 4.0]])
    assert_array_equal(fastnorm.min_max_scale(x), [[np.nan, np.nan], [np.nan, 0.0], [np.nan, 0.0]])


def test_a_wrong_norm_fails():
    x = normal((9, 33), seed=14)
    y = fastnorm.normalize(x)
    assert error(y, x, normalized(x, p=1), 1) > 1
    assert error(y * np.float32(1 + 2e-6), x, normalized(x), 1) > 1
    assert end_error(fastnorm.min_max_scale(x) + np.float32(2e-6), x, 0, 0, 1) > 1


X = normal((6, 4), offset=1.0)
REFUSED = [
    ({"p": math.nan}, ValueError, "^p is nan, expected a real number or an infinity$"),
    ({"p": "2"}, TypeError, "^p is '2', expected a number$"),
    ({"p": np.array([1, 2])}, TypeError, r"^p is array\(\[1, 2\]\), expected a number$"),
    ({"eps": -1.0}, ValueError, "^eps is -1.0, expected a finite number >= 0$"),
    ({"axis": 2}, AxisError, "^axis: axis 2 is out of bounds for array of dimension 2$"),
    ({"axis": ()}, ValueError, "^axis is empty, expected at least one axis$"),
    ({"out": np.full((4, 6), 7.0)}, ValueError, r"^out has shape \(4, 6\), expected \(6, 4\), the shape of x$"),
    ({"out": np.full((6, 4), 7)}, TypeError, "^out has dtype int64, expected "),
]


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED, ids=str)
def test_normalize_refuses(options, kind, message):
    before = {name: np.copy(value) for name, value in options.items()}
    with pytest.raises(kind, match=message):
        fastnorm.normalize(X, **options)
    for name, value in before.items():
        assert_array_equal(options[name], value)


RANGES = [(1, 0), (0, 0), (0, math.inf), (math.nan, 1), (0,), (0, 1, 2), 3, (-3e38, 3e38), "ab"]


@pytest.mark.parametrize("feature_range", RANGES, ids=str)
def test_what_is_no_range_is_refused(feature_range):
    with pytest.raises((ValueError, TypeError), match=r"^feature_range is "):
        fastnorm.min_max_scale(X, feature_range=feature_range)


def test_ends_beyond_a_dtype_are_refused():
    for x, dtype, end in [(X, None, 1e39), (X.astype(np.float64), np.float32, 1e39), (X.astype(np.float16), None, 1e5)]:
        with pytest.raises(ValueError, match=r"^feature_range is \(0, .*, expected two finite numbers of float"):
            fastnorm.min_max_scale(x, feature_range=(0, end), dtype=dtype)


def test_inputs_are_refused():
    for function in (fastnorm.normalize, fastnorm.min_max_scale):
        for x, message in [(X.astype("c8"), "has dtype complex64, expected "), (np.ma.array(X), "is a masked array")]:
            with pytest.raises(TypeError, match="^x " + message):
                function(x)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("p", [1, 2])
def test_an_eps_near_the_end_of_the_range_beside_unusual_data(p, axis):
    """Quotients below the normal range keep their bits."""
    x = normal((70, 70), "float64", scale=1e-4)
    expected = fastnorm.normalize(x, p=p, axis=axis, eps=1.1e305)
    x[5, 5] = 1e308
    y = fastnorm.normalize(x, p=p, axis=axis, eps=1.1e305)
    np.testing.assert_array_equal(np.delete(y, 5, 1 - axis), np.delete(expected, 5, 1 - axis))
