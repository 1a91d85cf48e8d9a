"""The numeric contract: accuracy that depends on neither the mean nor the scale, and what unusual values give."""

import numpy as np
import pytest
from arrays import DTYPES, dtype_of, normal
from calls import functions

import fastnorm
from fastnorm import reference

LENGTHS = [17, 64, 257, 1000, 1024, 5000, 100_003, 1_000_003]


SIXTEEN_BITS = [((3, 8, 12, 9), 1), ((2, 5, 4, 530), -1), ((40, 21), 1), ((3, 2100), 1)]


def worst_ulp(y, expected):
    """Worst error in units in the last place of the largest result."""
    largest = np.abs(expected).max(axis=-1, keepdims=True)
    return np.max(np.abs(y - expected) / np.spacing(largest.astype(y.dtype)))


def longdouble_layer_norm(x, eps):
    x = x.astype(np.longdouble)
    x = x - x[..., :1]  # else the oracle's own mean is off by an ulp of float64's results, at 1e4
    centered = x - x.mean(axis=-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + np.longdouble(eps))


def longdouble_rms_norm(x, eps):
    x = x.astype(np.longdouble)
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + np.longdouble(eps))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0, 0.1, 1, 1e3, 1e6])
@pytest.mark.parametrize("length", LENGTHS)
def test_error_does_not_grow_with_the_mean(length, offset, dtype):
    x = normal((max(1, 4096 // length), length), dtype, offset=offset)
    assert worst_ulp(fastnorm.layer_norm(x), longdouble_layer_norm(x, 1e-5)) <= 3
    assert worst_ulp(fastnorm.rms_norm(x), longdouble_rms_norm(x, 1e-6)) <= 3


def spike(n):
    x = normal(n)
    x[0] = 1e5
    return x


HARD = {
    "spike": spike,
    "late spike": lambda n: spike(n)[::-1].copy(),
    "ramp": lambda n: np.linspace(1e3, 2e3, n, dtype=np.float32),
    "lognormal": lambda n: np.exp(3 * normal(n)).astype(np.float32),
    "256 zeros, then 1e3": lambda n: np.concatenate([np.zeros(min(n, 256)), normal(n, offset=1e3)[256:]]).astype("f4"),
    "alternating signs": lambda n: (np.resize([1e4, -1e4], n) + normal(n)).astype(np.float32),
}


# Equal values round the same way in every lane, so that the errors of a sum line up instead of cancelling.
TWO_VALUES = {
    "signs": lambda n: np.resize(np.float32([1.9434123, -1.9434123]), n),
    "steps": lambda n: np.resize(np.float32([7.3, 7.3 + 1.9434123]), n),
    "one": lambda n: np.full(n, 1.1, np.float32),
}


@pytest.mark.parametrize("data", TWO_VALUES)
@pytest.mark.parametrize("length", [17, 64, 500, 512, 1000, 1024, 4097, 1_000_003])
def test_errors_that_line_up(length, data):
    x = TWO_VALUES[data](length)[None]
    # Without a fused multiply-add every square is rounded before it is added: a second error that lines up.
    bound = 6 if fastnorm.show_config(mode="dicts")["fma"] else 8
    if data != "one":
        assert worst_ulp(fastnorm.layer_norm(x), longdouble_layer_norm(x, 1e-5)) <= bound
    assert worst_ulp(fastnorm.rms_norm(x), longdouble_rms_norm(x, 1e-6)) <= bound


@pytest.mark.parametrize("data", HARD)
@pytest.mark.parametrize("length", LENGTHS)
def test_hard_data(length, data):
    x = HARD[data](length)[None]
    assert worst_ulp(fastnorm.layer_norm(x), longdouble_layer_norm(x, 1e-5)) <= 3
    assert worst_ulp(fastnorm.rms_norm(x), longdouble_rms_norm(x, 1e-6)) <= 3


SCALES = [("float32", s) for s in (1e30, 3e37, 1e-30, 1e-40)] + [("float64", s) for s in (1e200, 1e307, 1e-200, 1e-310)]


@pytest.mark.parametrize(("dtype", "scale"), SCALES)
@pytest.mark.parametrize("length", [5, 768, 3000, 700_001])
@pytest.mark.parametrize("offset", [0, 3])
def test_any_finite_scale(length, offset, dtype, scale):
    """Squares of these overflow or underflow; 1e-40 and 1e-310 are subnormal, and keep the digits they have."""
    x = np.clip(normal((2, length), "float64", offset=offset), -5, 9) * scale
    x = x.astype(dtype)
    eps = 0.0 if scale < 1 else 1e-5
    for y, expected in [
        (fastnorm.layer_norm(x, eps=eps), longdouble_layer_norm(x, eps)),
        (fastnorm.rms_norm(x, eps=eps), longdouble_rms_norm(x, eps)),
    ]:
        assert np.isfinite(y).all()
        assert worst_ulp(y, expected) <= 3


def test_statistics_of_scaled_data():
    x = normal((3, 500), offset=2.0) * np.float32(1e30)
    _, mean, rstd = fastnorm.layer_norm(x, return_stats=True)
    _, expected_mean, expected_rstd = reference.layer_norm(x, return_stats=True)
    np.testing.assert_allclose(mean, expected_mean, rtol=2.0**-20)
    np.testing.assert_allclose(rstd, expected_rstd, rtol=2.0**-20)


def test_float16_variance_does_not_overflow():
    x = normal((4, 1000), "float64", offset=50_000, scale=3000).astype(np.float16)
    y = fastnorm.layer_norm(x)
    assert np.isfinite(y).all()
    assert worst_ulp(y, longdouble_layer_norm(x, 1e-5)) <= 0.5 + 2.0**-10


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", SIXTEEN_BITS)
@pytest.mark.parametrize(("offset", "scale"), [(1.0, 2.0), (0.0, 1e-4), (59_000.0, 1000.0)])
def test_16_bits_are_the_float32_result_rounded_once(shape, offset, scale, dtype):
    """Of every function, with the statistics that it gives: at 60000 a variance in float16 would overflow."""
    _, calls = functions(*shape[:1], dtype, channel_axis=shape[1])
    x = np.clip(normal(shape[0], "float64", offset=offset, scale=scale), -65_000, 65_000).astype(dtype_of(dtype))
    for name, call in calls.items():
        if name != "fused":  # computes in float64
            y, *others = call(x, return_stats=True)
            wide, *expected = call(x.astype(np.float32), return_stats=True)
            assert np.isfinite(wide.astype(np.float32)).all(), name
            with np.errstate(over="ignore"):  # of evaluation at 60000
                assert y.tobytes() == wide.astype(y.dtype).tobytes(), name
            assert [one.tobytes() for one in others] == [one.tobytes() for one in expected], name


def test_float64_to_16_bits_is_one_rounding():
    """By way of float32 it would be two. A direct conversion is the judge for float16; for bfloat16 NumPy has none."""
    x = normal((50, 333), "float64")
    assert np.array_equal(fastnorm.layer_norm(x, dtype=np.float16), fastnorm.layer_norm(x).astype(np.float16))


def test_ties_round_once():
    """1 + 2^-8 + 2^-30 lies above a tie of bfloat16: rounded to float32 first it would become the tie, then 1."""
    x = np.array([[1.0, -1.0]])
    value = 1 + 2.0**-8 + 2.0**-30
    for dtype, expected in (("bfloat16", 1 + 2.0**-7), ("float16", 1 + 2.0**-8)):
        y = fastnorm.layer_norm(x, weight=[value, value], eps=0.0, dtype=dtype_of(dtype))
        assert y.astype(np.float64).tolist() == [[expected, -expected]]
    tie = 1 + 2.0**-11 + 2.0**-40
    y = fastnorm.layer_norm(x, weight=[tie, tie], eps=0.0, dtype=np.float16)
    assert y.astype(np.float64).tolist() == [[1 + 2.0**-10, -1 - 2.0**-10]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [1, 5, 64, 768, 1025, 70_000, 700_001])
def test_constants_give_exactly_the_bias(length, dtype):
    values = [0.0, 1.1, -1.7, 3.3e4, 0.1]
    if dtype != "float16":
        values += [3.3e7, 1e-30, 3e38]
    if dtype == "float64":
        values += [1.7e308, 1e-300]
    x = np.repeat(np.array(values)[:, None], length, axis=1).astype(dtype_of(dtype))
    assert not fastnorm.layer_norm(x).astype(np.float64).any()
    bias = normal(length, dtype, seed=2)
    y = fastnorm.layer_norm(x, bias=bias)
    assert np.array_equal(y, np.broadcast_to(bias, y.shape))


@pytest.mark.parametrize("eps", [1e-5, 1e-100, 1e-153, 1e-160, 1e-300, np.finfo(float).tiny])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiny_eps(dtype, eps):
    """Zeros and constants stay exact, and the statistics are those of the data as it came."""
    x = np.array([[0.0] * 5, [3e38] * 5, [1.1] * 5, [-2.4e-37] * 5], dtype)
    y, _, rstd = fastnorm.layer_norm(x, eps=eps, return_stats=True)
    assert not y.any()
    np.testing.assert_allclose(rstd, 1 / np.sqrt(eps), rtol=2.0**-50)
    assert not fastnorm.rms_norm(x[:1], eps=eps).any()


def test_constants_that_are_not_centred():
    x = np.array([[3e38] * 8, [1e-30] * 8], np.float32)
    assert fastnorm.layer_norm(x, center=False)[0].tolist() == [np.inf] * 8
    x = np.array([[-2.374398e-37], [1.5]], np.float32)
    with np.errstate(over="ignore"):
        expected = (x.astype(np.float64) / np.sqrt(1e-150)).astype(np.float32)
    np.testing.assert_allclose(fastnorm.layer_norm(x, center=False, eps=1e-150), expected, rtol=2.0**-22)


def test_zero_eps():
    """As NumPy's own formula: 0 / 0 is NaN, and what is not centred may be x / 0."""
    x = np.array([[2.0, 2.0], [0.0, 0.0], [1.0, 3.0]], np.float32)
    with np.errstate(all="raise"):  # no warning comes out of C either
        y = fastnorm.layer_norm(x, eps=0.0)
        assert np.isnan(y[:2]).all()
        assert y[2].tolist() == [-1, 1]
        y = fastnorm.layer_norm(x, eps=0.0, center=False)
        assert y[0].tolist() == [np.inf, np.inf]
        assert np.isnan(y[1]).all()
        y = fastnorm.rms_norm(x, eps=0.0)
        assert y[0].tolist() == [1, 1]
        assert np.isnan(y[1]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf], [np.nan, np.inf]])
@pytest.mark.parametrize("length", [10, 768, 700_001])
def test_nan_and_infinity_stay_in_their_statistic(length, bad, dtype):
    x = normal((3, length), dtype)
    clean = [fastnorm.layer_norm(x), fastnorm.rms_norm(x)]
    x[1, : len(bad)] = bad
    with np.errstate(all="ignore"):
        expected, mean, _ = reference.layer_norm(x, return_stats=True)
        expected_rms, rstd = reference.rms_norm(x, return_stats=True)
    y, got_mean, got_rstd = fastnorm.layer_norm(x, return_stats=True)
    rms, got_rms_rstd = fastnorm.rms_norm(x, return_stats=True)
    for got, before, reference_y in [(y, clean[0], expected), (rms, clean[1], expected_rms)]:
        assert np.array_equal(got[[0, 2]], before[[0, 2]])
        np.testing.assert_array_equal(got[1].astype(np.float64), reference_y[1].astype(np.float64))
    np.testing.assert_array_equal(got_mean[1], mean[1])
    assert np.isnan(got_rstd[1]).all()
    np.testing.assert_array_equal(got_rms_rstd[1], rstd[1])


def test_nan_results_are_one_quiet_nan():
    x = normal((1, 40))
    for bad in (np.nan, -np.nan, np.inf, -np.inf):
        x[0, 3] = bad
        assert set(fastnorm.layer_norm(x).view(np.uint32).ravel().tolist()) == {0x7FC00000}


def test_negative_zero_keeps_its_sign():
    x = np.array([[-0.0, 0.0, 2.0, -2.0]])
    weight = np.array([1.0, 1.0, 2.0, 2.0])
    assert np.signbit(fastnorm.rms_norm(x, weight)).tolist() == [[True, False, False, True]]


def test_unbiased_memory_order_of_extremes():
    """A spike in the second leaf, after one of small values: each leaf has its own shift."""
    x = np.concatenate([normal(1024, scale=1e-3), normal(1024, offset=1e6)])[None].astype(np.float32)
    assert worst_ulp(fastnorm.layer_norm(x), longdouble_layer_norm(x, 1e-5)) <= 3
