"""The numeric contract for statistics of every shape: accurate whatever the mean and the scale, each on its own.

Statistics down the columns of a table, over planes and over groups take other code than rows do. Each form below makes
such a problem of one table, `values[length, count]` with a statistic for each column, and a table of the result, so
that one judge in long double serves them all.
"""

import functools

import numpy as np
import pytest
from arrays import DTYPES, dtype_of, normal

import fastnorm

FMA = fastnorm.show_config(mode="dicts")["fma"]
LENGTHS = [17, 64, 257, 1000, 1024, 5000, 100_003]


def divisor(length):
    """Channels in a group: how many of the elements of a statistic lie side by side."""
    return next(n for n in (17, 4, 1) if length % n == 0)


def batch(values, **options):
    return fastnorm.batch_norm(values, training=True, **options)


def batch_planes(values, **options):
    """Two samples where the length is even: a statistic is two stretches."""
    n = 2 - len(values) % 2
    x = np.ascontiguousarray(values.reshape(n, -1, values.shape[1]).swapaxes(1, 2))
    return fastnorm.batch_norm(x, training=True, **options).swapaxes(1, 2).reshape(values.shape)


def instance_planes(values, **options):
    return fastnorm.instance_norm(np.ascontiguousarray(values.T)[None], **options)[0].T


def instance_last(values, **options):
    return fastnorm.instance_norm(values[None], channel_axis=-1, **options)[0]


def group_planes(values, **options):
    length, count = values.shape
    x = np.ascontiguousarray(values.T).reshape(1, count * divisor(length), -1)
    return fastnorm.group_norm(x, count, **options).reshape(count, length).T


def group_last(values, **options):
    length, count = values.shape
    split = (-1, divisor(length), count)
    x = values.reshape(split).swapaxes(1, 2).reshape(1, -1, count * divisor(length))
    y = fastnorm.group_norm(x, count, channel_axis=-1, **options)
    return y.reshape(-1, count, divisor(length)).swapaxes(1, 2).reshape(length, count)


def axis_0(values, **options):
    return fastnorm.layer_norm(values, axis=0, **options)


def axis_1(values, **options):
    """Of NCHW, with a plane of `count` positions."""
    return fastnorm.layer_norm(values[None, :, :, None], axis=1, **options)[0, :, :, 0]


def in_place(values, **options):
    x = values.copy()
    return fastnorm.batch_norm(x, training=True, out=x, **options)


def rms_axis_0(values, **options):
    return fastnorm.rms_norm(values, axis=0, **options)


def rms_axis_1(values, **options):
    return fastnorm.rms_norm(values[None, :, :, None], axis=1, **options)[0, :, :, 0]


FORMS = [batch, batch_planes, instance_planes, instance_last, group_planes, group_last, axis_0, axis_1, in_place]
IN_COLUMNS = [batch, instance_last, group_last, axis_0, axis_1]


# Statistics of float64 data are merged in its own type: a rounding more than those of float32. And so is every square
# where there is no fused multiply-add.
BOUND = {"float32": 3 if FMA else 4, "float64": 4}


def longdouble(values, eps):
    values = np.ascontiguousarray(values.T, np.longdouble)
    values -= values[:, :1]  # else the oracle's own mean is off by an ulp of float64's results, at 1e4
    return longdouble_rms((values - values.mean(axis=1, keepdims=True)).T, eps)


def longdouble_rms(values, eps):
    values = np.ascontiguousarray(values.T, np.longdouble)
    return (values / np.sqrt((values**2).mean(axis=1, keepdims=True) + np.longdouble(eps))).T


def worst_ulp(y, expected):
    """Worst error in units in the last place of the largest result of its statistic."""
    return max(
        np.abs(one - best).max() / np.spacing(np.abs(best).max().astype(y.dtype))
        for one, best in zip(y.T, expected.T, strict=True)
    )


def check(values, eps=1e-5):
    """Each form within its bound."""
    expected, bound = longdouble(values, eps), BOUND[values.dtype.name]
    for form in FORMS:
        y = form(values, eps=eps)
        assert np.isfinite(y).all(), form.__name__
        assert worst_ulp(y, expected) <= bound, form.__name__
    if np.ptp(values, axis=0).all():
        assert worst_ulp(fastnorm.standardize(values), longdouble(values, 0)) <= bound
    expected = longdouble_rms(values, eps)
    for form in (rms_axis_0, rms_axis_1):
        assert worst_ulp(form(values, eps=eps), expected) <= bound, form.__name__


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("length", "offset"), [(n, o) for n in LENGTHS for o in (0, 0.1, 1, 1e3, 1e6)] + [(1_000_003, 0), (1_000_003, 1e6)]
)
def test_error_does_not_grow_with_the_mean(length, offset, dtype):
    check(normal((length, 2 if length > 5000 else 11), dtype, offset=offset))


def rows_first_zero(n):
    """Shifts come from the first rows: black borders of images, padding."""
    values = normal(n, offset=1e3)
    values[: max(n // 10, 16)] = 0
    return values


HARD = {
    "spike": lambda n: np.where(np.arange(n) == 0, 1e5, normal(n)),
    "late spike": lambda n: np.where(np.arange(n) == n - 1, 1e5, normal(n)),
    "ramp": lambda n: np.linspace(1e3, 2e3, n),
    "lognormal": lambda n: np.exp(3 * normal(n)),
    "zeros, then 1e3": rows_first_zero,
    "one leaf of zeros, then 1e3": lambda n: np.where(np.arange(n) < 256, 0, normal(n, offset=1e3)),
    "alternating": lambda n: np.resize([1e4, -1e4], n) + normal(n),
    "steps between leaves": lambda n: np.arange(n) // 256 * 1e2 + normal(n),
}


@pytest.mark.parametrize("data", HARD)
@pytest.mark.parametrize("length", [17, 300, 1024, 4097, 100_000])
def test_hard_data(length, data):
    """Beside columns that are not hard: whether a column is summed again is its own affair."""
    values = normal((length, 5))
    values[:, 1] = values[:, 3] = HARD[data](length)
    check(values)


@pytest.mark.parametrize("length", [64, 500, 1024, 4097, 100_000])
def test_errors_that_line_up(length):
    """Equal values round the same way in every row, so that the errors of a sum line up instead of cancelling."""
    columns = [np.resize([1.9434123, -1.9434123], length), np.resize([7.3, 7.3 + 1.9434123], length)]
    values = np.stack(columns, axis=1).astype(np.float32)
    expected = longdouble(values, 1e-5)
    for form in FORMS:
        # Without a fused multiply-add every square is rounded before it is added: a second error that lines up.
        assert worst_ulp(form(values), expected) <= (6 if FMA else 8), form.__name__


SCALES = [("float32", s) for s in (1e30, 3e37, 1e-30, 1e-40)] + [("float64", s) for s in (1e200, 1e307, 1e-200, 1e-310)]


@pytest.mark.parametrize(("dtype", "scale"), SCALES)
@pytest.mark.parametrize("some", [False, True], ids=["all", "some"])
@pytest.mark.parametrize(("length", "count"), [(5, 40), (768, 7), (3000, 3), (20, 600)])
def test_any_finite_scale(length, count, some, dtype, scale):
    """Squares of these overflow or underflow; 1e-40 and 1e-310 are subnormal, and keep the digits they have."""
    values = np.clip(normal((length, count), "float64", offset=1), -5, 9)
    values[:, :: 3 if some else 1] *= scale
    check(values.astype(dtype), eps=0.0 if scale < 1 else 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]])
@pytest.mark.parametrize("shape", [(40, 50), (3000, 7), (5, 700), (2100, 3)])
def test_nan_and_infinity_stay_in_their_statistic(shape, bad, dtype):
    """The statistics beside it keep the bits that they have without it."""
    values = normal(shape, dtype)
    spoilt = values.copy()
    spoilt[: len(bad), 1] = bad
    others = np.arange(shape[1]) != 1
    for form in [*FORMS, fastnorm.standardize]:
        y = form(spoilt)
        assert np.isnan(y[:, 1].astype(np.float32)).all(), form.__name__
        assert y[:, others].tobytes() == form(values)[:, others].tobytes(), form.__name__


@pytest.mark.parametrize("form", IN_COLUMNS)
@pytest.mark.parametrize("scale", [1e30, 1e-30, 0.0])
def test_columns_beside_unusual_ones_keep_their_bits(form, scale):
    for shape in [(300, 33), (9, 700), (5000, 3)]:
        values = normal(shape, offset=2.0)
        unusual = values.copy()
        unusual[:, ::5] *= np.float32(scale)
        others = np.arange(shape[1]) % 5 != 0
        # With eps=0 the constant columns are unusual, too.
        assert form(unusual, eps=0.0)[:, others].tobytes() == form(values, eps=0.0)[:, others].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 3e38, np.inf, np.nan])
def test_short_planes_beside_unusual_ones_keep_their_bits(dtype, value):
    for shape in [(9, 21, 7, 7), (2, 37, 14, 14), (40, 3, 33)]:
        values = normal(shape, dtype, offset=2.0)
        weight, bias = normal((2, shape[1]), dtype, seed=2)
        form = functools.partial(fastnorm.batch_norm, weight=weight, bias=bias, training=True, eps=0.0)
        usual = form(values)
        for step in (2, 5, 17):
            unusual = values.copy()
            with np.errstate(over="ignore"):
                # A constant channel, or one value whose square leaves the range.
                unusual[slice(None) if value == 0 else 0, ::step] = value if dtype != "float64" else value * 1e200
            others = np.arange(shape[1]) % step != 0
            assert form(unusual)[:, others].tobytes() == usual[:, others].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", [2.0**-60, 2.0**60, np.inf, np.nan])
def test_channels_of_a_group_beside_unusual_ones_keep_their_bits(dtype, factor):
    """One weight that makes a scale leave the range sends the group's short planes another way."""
    for shape in [(2, 24, 7, 7), (3, 40, 33), (1, 36, 16, 16)]:
        values = normal(shape, dtype, offset=2.0)
        wide = "float64" if dtype == "float64" else "float32"
        edge = np.finfo(wide).tiny if factor < 1 else np.finfo(wide).max
        weight, bias = normal((2, shape[1]), wide, seed=2)
        unusual = weight.copy()
        with np.errstate(over="ignore"):
            unusual[::5] = edge * np.asarray(factor, wide)
        others = np.arange(shape[1]) % 5 != 0
        for parameters in ({"bias": bias}, {}):
            usual = fastnorm.group_norm(values, 2, weight, **parameters)[:, others]
            assert fastnorm.group_norm(values, 2, unusual, **parameters)[:, others].tobytes() == usual.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [2, 5, 68, 768, 1025, 70_000])
def test_constants_give_exactly_the_bias(length, dtype):
    constants = [0.0, 1.1, -1.7, 3.3e4, 0.1]
    if dtype != "float16":
        constants += [3.3e7, 1e-30, 3e38]
    if dtype == "float64":
        constants += [1.7e308, 1e-300]
    values = np.repeat(np.array([constants]), length, axis=0).astype(dtype_of(dtype))
    for form in FORMS:
        assert not form(values).astype(np.float64).any(), form.__name__
    weight, bias = normal((2, len(constants)), dtype, seed=2)
    for form in (batch, batch_planes, instance_planes, instance_last, in_place):
        y = form(values, weight=weight, bias=bias)
        assert np.array_equal(y, np.broadcast_to(bias, y.shape)), form.__name__
    assert not fastnorm.standardize(values).astype(np.float64).any()
    groups = np.repeat(values[None], 2, axis=2)  # (1, length, 2 C) of C groups, channels last
    weight, bias = normal((2, groups.shape[-1]), dtype, seed=3)
    for x, axis, shape in ((groups, -1, (1, 1, -1)), (np.ascontiguousarray(groups.swapaxes(1, 2)), 1, (1, -1, 1))):
        y = fastnorm.group_norm(x, len(constants), weight, bias, channel_axis=axis)
        assert np.array_equal(y, np.broadcast_to(bias.reshape(shape), y.shape))
    bias = normal(length, dtype, seed=4)
    y = fastnorm.layer_norm(values[None], None, bias, axis=1)
    assert np.array_equal(y, np.broadcast_to(bias[None, :, None], y.shape))


@pytest.mark.parametrize("form", [batch, batch_planes, instance_planes, instance_last, in_place])
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_unusual_weights(form, scale):
    """What NumPy gives for weight * t + bias in float64, rounded once, with t as it is for a weight of 1."""
    weight = np.array([1e30, -1e30, 1e-30, 0.0, -0.0, np.inf, -np.inf, np.nan, 3e38, 1e-44, -2.0], np.float32)
    values = normal((500, weight.size), offset=1.0)
    values *= np.float32(scale)
    for bias in (None, np.full(weight.size, 3, np.float32), np.full(weight.size, -1e30, np.float32)):
        y = form(values, weight=weight, bias=bias, eps=0.0)
        wide = weight.astype(np.float64)
        with np.errstate(all="ignore"):
            expected = longdouble(values, 0).astype(np.float64) * wide + (0 if bias is None else bias)
            stored = expected.astype(np.float32)
            allowed = 2.0**-21 * (4 * np.abs(wide) + (0 if bias is None else np.abs(bias))) + 2.0**-148
            assert np.array_equal(np.isnan(y), np.isnan(stored))
            same = (y == stored) | np.isnan(stored) | (np.abs(y - expected) <= allowed)
        assert same.all(), weight[~same.all(axis=0)]


@pytest.mark.parametrize("eps", [1e-5, 1e-30, 1e-100])
@pytest.mark.parametrize(("dtype", "largest"), [("float32", 3e38), ("float64", 1.7e308)])
def test_constants_of_any_weight(dtype, largest, eps):
    """Neither rstd * weight nor the data that is scaled instead may leave the range: 0 * inf."""
    for value in (largest, -1.5, largest * 1e-20):
        values = np.full((70, 5), value, dtype)
        weight = np.array([largest, -largest, 1.0, 1 / largest, 0.0], dtype)
        for form in (batch, batch_planes, instance_planes, instance_last, in_place):
            assert (form(values, weight=weight, bias=np.full(5, 2, dtype), eps=eps) == 2).all(), form.__name__
        assert (fastnorm.layer_norm(values, weight, np.full(5, 2, dtype), eps=eps) == 2).all()


def test_zero_eps():
    """As NumPy's own formula: 0 / 0 is NaN, and no warning comes out of C."""
    values = np.array([[2.0, 0.0, 1.0], [2.0, 0.0, 3.0]], np.float32)
    with np.errstate(all="raise"):
        for form in FORMS:
            y = form(values, eps=0.0)
            assert np.isnan(y[:, :2]).all(), form.__name__
            assert y[:, 2].tolist() == [-1, 1], form.__name__


def test_statistics_of_unusual_columns():
    values = normal((500, 9), offset=2.0)
    values[:, ::2] *= np.float32(1e30)
    _, mean, rstd = fastnorm.batch_norm(values, training=True, return_stats=True)
    wide = values.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=2.0**-20)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(wide.var(axis=0) + 1e-5), rtol=2.0**-20)
    found = fastnorm.moments(values, axis=0)
    np.testing.assert_allclose(found.mean, wide.mean(axis=0), rtol=2.0**-50)
    np.testing.assert_allclose(found.var(), wide.var(axis=0), rtol=2.0**-48)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300, 70), (5, 600), (2503, 3), (2, 40, 9), (70_000, 2)])
def test_moments_of_columns_of_every_kind(shape, dtype):
    """Zero, constant, huge, tiny and not finite, in tiles that all share; over each axis but the last."""
    x = normal(shape, dtype, offset=1.0)
    kinds = [0.0, -0.0, 1.5, 0.1, np.finfo(np.float16).smallest_subnormal, np.nan, np.inf, -np.inf]
    for place, kind in enumerate(kinds):
        column = 2 * place % shape[-1]
        x[..., column] = kind if np.isfinite(kind) else x[..., column]
        x[-1, ..., column] = kind
    x[..., 1] *= np.array(1e-200 if dtype == "float64" else 1e-4, x.dtype)
    x[:1, ..., -1] = [np.inf] if shape[0] % 2 else [0.0]
    wide = x.astype(np.float64)
    axes = tuple(range(x.ndim - 1))
    for axis in {axes, (0,)}:
        found = fastnorm.moments(x, axis=axis)
        with np.errstate(invalid="ignore"):
            mean = wide.mean(axis=axis, keepdims=True)
            m2 = ((wide - mean) ** 2).sum(axis=axis)
            largest = abs(wide).max(axis=axis)
        np.testing.assert_allclose(found.mean, mean.reshape(found.mean.shape), rtol=1e-12, atol=1e-13)
        assert np.array_equal(np.isnan(found.m2), np.isnan(m2))
        error = abs(found.m2 - m2) <= 1e-11 * m2 + found.count * (largest * 2.0**-46) ** 2
        assert (error | np.isnan(m2)).all()
        assert not found.m2[np.isfinite(m2) & (np.ptp(wide, axis=axis) == 0)].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1e30, 1e-30])
def test_constant_features_beside_others(value, dtype):
    """They are 0 in the result, and their neighbours keep their bits."""
    x = normal((3000, 70), dtype, offset=1.0)
    expected = fastnorm.standardize(x)
    x[:, 1::3] = value
    y, mean, rstd = fastnorm.standardize(x, return_stats=True)
    assert not y[:, 1::3].any()
    assert not np.signbit(y[:, 1::3]).any()
    assert np.array_equal(np.delete(y, np.s_[1::3], 1), np.delete(expected, np.s_[1::3], 1))
    assert not rstd[0, 1::3].any()
    assert np.array_equal(mean[0, 1::3].astype(dtype), x[0, 1::3])


@pytest.mark.parametrize("offset", range(4))
def test_the_sign_of_zero_beside_a_nan(offset):
    """What a column's neighbours hold, and where a tile begins, shows in no bit: not in that of a zero either."""
    x = np.full((20, 700), -1.0, np.float32) * np.arange(1, 21, dtype=np.float32)[:, None]
    x[0] = -0.0
    expected = fastnorm.layer_norm(x, axis=0, center=False)
    x[3, 128] = np.nan
    out = np.zeros(x.size + offset, np.float32)[offset:].reshape(x.shape)
    y = fastnorm.layer_norm(x, axis=0, center=False, out=out)
    assert np.delete(y, 128, 1).tobytes() == np.delete(expected, 128, 1).tobytes()
