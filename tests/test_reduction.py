"""The kernels give the bits that docs/reduction.md promises: those of its plain implementation in reduction.py."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import reduction
import reduction_others as others
import reduction_words
from arrays import OTHER_ORDER, normal
from reduction_arithmetic import exact_fma, fma
from reduction_maps import normalize

import fastnorm

pytestmark = pytest.mark.skipif(
    not fastnorm.show_config("dicts")["fma"],
    reason="without fused multiply-add products are rounded, and docs/reduction.md promises no bits",
)

F32_AND_F64 = pytest.mark.parametrize("dtype", ["float32", "float64"])
LAYOUTS = {"C": np.array} | OTHER_ORDER


def differs(got, expected):
    """Whether two results are anything but the same numbers, with the same signs of zeros; NaN is NaN."""
    got, expected = np.asarray(got), np.asarray(expected)
    same = (got == expected) & (np.signbit(got) == np.signbit(expected)) | np.isnan(got) & np.isnan(expected)
    return got.dtype != expected.dtype or got.shape != expected.shape or not same.all()


def assert_same(pairs):
    """Of (name, what the kernels gave, what the twin gave), each a few arrays."""
    wrong = [
        f"{name}[{i}]"
        for name, got, expected in pairs
        for i, (one, other) in enumerate(zip(got, expected, strict=True))
        if differs(one, other)
    ]
    assert not wrong


def layer_norm(x, axes, eps=1e-5, seed=7, **options):
    """Layer norm with a weight and a bias, by the kernels and by the twin."""
    lengths, full = [x.shape[a] for a in axes], [n if a in axes else 1 for a, n in enumerate(x.shape)]
    w, b = normal(lengths, x.dtype, offset=1.0, seed=seed), normal(lengths, x.dtype, seed=seed + 1)
    got = fastnorm.layer_norm(x, w, b, axis=axes, eps=eps, return_stats=True, **options)
    expected = normalize(x, frozenset(axes), w.reshape(full), b.reshape(full), eps=eps, **options)
    return "layer_norm", got, expected[:3]


def plain_norms(x, axes, eps=1e-5):
    """Every norm over axes that has statistics of its own."""
    reduced, one, dtype = frozenset(axes), (1,) * x.ndim, x.dtype
    yield layer_norm(x, axes, eps)
    y = fastnorm.layer_norm(x, axis=axes, center=False, eps=eps)
    yield "center=False", [y], normalize(x, reduced, kind="uncentered", eps=eps)[:1]
    y, rstd = fastnorm.rms_norm(x, axis=axes, eps=eps, return_stats=True)
    expected = normalize(x, reduced, kind="squares", eps=eps)
    yield "rms_norm", [y, rstd], [expected[0], expected[2]]
    got = fastnorm.standardize(x, axis=axes, return_stats=True)
    yield "standardize", got, normalize(x, reduced, kind="standardized")[:3]
    found, expected = fastnorm.moments(x, axis=axes), normalize(x, reduced, result="float64")
    shape = np.shape(found.mean)
    yield "moments", [found.mean, found.m2], [expected[1].reshape(shape), expected[3].reshape(shape)]
    for p in (1, 2, np.inf, -np.inf):
        y = fastnorm.normalize(x, axis=axes, p=p, eps=eps)
        yield f"normalize p={p}", [y], normalize(x, reduced, kind="norm", p=p, eps=eps)[:1]
    y = fastnorm.min_max_scale(x, axis=axes, feature_range=(-1, 2))
    ends = np.full(one, 3, dtype), np.full(one, -1, dtype)
    yield "min_max_scale", [y], normalize(x, reduced, *ends, kind="extremes", high=2.0)[:1]


def channel_norms(x, axis):
    """Every norm over channels, with weight and bias."""
    channels, others = x.shape[axis], frozenset(range(x.ndim)) - {axis}
    full = [channels if a == axis else 1 for a in range(x.ndim)]
    values = [normal(channels, x.dtype, offset=1.0, seed=seed) for seed in (3, 4, 5, 6)]
    weight, bias, mean, var = (one.reshape(full) for one in values)
    options = {"weight": values[0], "bias": values[1], "channel_axis": axis}
    expected = normalize(x, others, weight, bias, eps=1e-5)
    got = fastnorm.batch_norm(x, training=True, return_stats=True, **options)
    yield "batch_norm", got, [expected[0], *(one.reshape(-1) for one in expected[1:3])]
    known = mean.astype(np.float64), 1 / np.sqrt(np.abs(var).astype(np.float64) + 1e-5)
    y = fastnorm.batch_norm(x, values[2], np.abs(values[3]), **options)
    yield "batch_norm eval", [y], normalize(x, others, weight, bias, kind="given", known=known)[:1]
    y = fastnorm.instance_norm(x, **options)
    yield "instance_norm", [y], normalize(x, others - {0}, weight, bias, eps=1e-5)[:1]
    groups = next(n for n in (4, 3, 2, 1) if channels % n == 0)
    grouped, *parameters = (split(one, axis, groups) for one in (x, weight, bias))
    reduced = frozenset(range(1, grouped.ndim)) - {axis}
    y = fastnorm.group_norm(x, groups, **options)
    yield "group_norm", [y], [normalize(grouped, reduced, *parameters, eps=1e-5)[0].reshape(x.shape)]
    style = x[:1, ..., :2] * 2 if axis != x.ndim - 1 else x[:1] * 2
    _, mean, _, m2 = normalize(style, others - {0})
    count = style.size // channels
    weight, bias = np.sqrt(m2 / count + 1e-5).astype(x.dtype), mean.astype(x.dtype)
    y = fastnorm.adaptive_instance_norm(x, style, channel_axis=axis)
    yield "adaptive_instance_norm", [y], normalize(x, others - {0}, weight, bias, eps=1e-5)[:1]


def split(x, axis, groups):
    """The channel axis in two."""
    return x.reshape(*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])


@F32_AND_F64
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 33, 63, 65, 300, 1023, 1025, 2100])
def test_rows(length, dtype):
    """Around the lanes, the pilot and the leaf; with an offset that the shift has to take off."""
    assert_same(plain_norms(normal((2, length), dtype, offset=100.0), (1,)))


@F32_AND_F64
def test_pieces(dtype):
    """Of a long stretch, or of many short ones."""
    shape, axes = ((1, 65536 + 1100), (1,)) if dtype == "float32" else ((130, 1, 511), (0, 2))
    assert_same([layer_norm(normal(shape, dtype, offset=5.0), axes)])
    assert_same([layer_norm(normal((3, 1, 1100), dtype, offset=5.0), (0, 2))])


@F32_AND_F64
@pytest.mark.parametrize("shape", [(17, 1), (9, 3), (40, 5), (257, 16), (600, 70), (3, 129)])
def test_columns(shape, dtype):
    """Around the groups, the pilot and the leaf of rows, with positions side by side and some left over."""
    assert_same(plain_norms(normal(shape, dtype, offset=100.0), (0,)))


@F32_AND_F64
@pytest.mark.parametrize("shape", [(2 * 2048 + 300, 40), (3 * 2048 * 21 + 2, 3)])
def test_chunks_of_columns(shape, dtype):
    x = normal(shape, dtype, offset=5.0)
    got, expected = fastnorm.standardize(x, return_stats=True), normalize(x, frozenset({0}), kind="standardized")
    assert_same([("standardize", got, expected[:3])])


@F32_AND_F64
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape", [(5, 8, 6, 5), (2, 7, 3, 5), (4, 6, 31), (4, 6, 32), (40, 3), (192, 3, 33), (2, 96, 16, 17)]
)
def test_layouts(shape, layout, dtype):
    """Channels-first, channels-last and Fortran, with a plane in rows and one in columns."""
    x = LAYOUTS[layout](normal(shape, dtype, offset=3.0))
    assert_same(channel_norms(x, 1))
    if x.ndim > 2:
        assert_same(channel_norms(np.moveaxis(x, 1, -1), x.ndim - 1))


@F32_AND_F64
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [(1,), (0, 2), (1, 2), (0, 1, 3), (2, 3), (0, 1, 2, 3)])
def test_axes(axes, layout, dtype):
    assert_same([layer_norm(LAYOUTS[layout](normal((3, 4, 6, 18), dtype, offset=1.0)), axes)])


@pytest.mark.parametrize("layout", ["dense", "Fortran", "cropped"])
@pytest.mark.parametrize(
    ("shape", "axes", "varies"),
    [
        ((2, 3, 16), (1, 2), (1,)),  # a segment of 16 elements or more
        ((2, 3, 15), (1, 2), (1,)),
        ((20, 3), (0,), (0,)),  # differing from row to row
        ((40, 2, 5), (0, 2), (0, 2)),
        ((2, 5, 7, 9), (1, 2, 3), (3,)),  # pixels become outer
        ((2, 3, 4, 40), (1, 2, 3), (1, 3)),
        ((2, 3, 40), (1, 2), (1, 2)),
        ((2, 6, 3, 6, 2), (1, 3), (0, 1, 2)),  # expanded to all axes
        ((3, 2, 4, 2, 3), (0, 2, 4), (2,)),  # no words
    ],
)
def test_where_parameters_meet_the_data(shape, axes, varies, layout):
    """Folded or after; and what of a statistic they split."""
    x = normal(shape, offset=1.0)
    w = normal([n if a in varies else 1 for a, n in enumerate(shape)], seed=3)
    if layout == "Fortran":
        w = np.asfortranarray(w)
    elif layout == "cropped":
        w = np.pad(w, [(0, 1)] * w.ndim)[tuple(slice(n) for n in w.shape)]
    got = fastnorm.layer_norm(x, w, axis=axes, return_stats=True)
    assert_same([("layer_norm", got, normalize(x, frozenset(axes), w, eps=1e-5)[:3])])


@pytest.mark.parametrize(
    ("dtype", "scale"), [("float32", s) for s in (1e30, 3e37, 1e-30, 1e-42)] + [("float64", 1e200)]
)
@pytest.mark.parametrize(("shape", "axes"), [((1, 1100), (1,)), ((50, 3), (0,)), ((5, 2, 6, 6), (0, 2, 3))])
def test_rescue(shape, axes, dtype, scale):
    """Squares that overflow or underflow, and subnormal data."""
    x = (normal(shape, "float64", offset=0.5) * scale).astype(dtype)
    x[..., 0] = 0
    for eps in (1e-5, 0.0):
        assert_same(plain_norms(x, axes, eps))


@F32_AND_F64
@pytest.mark.parametrize("axes", [(0,), (1,)])
def test_unusual_data(axes, dtype):
    """Constants, zeros, pilots that mislead, NaN and infinity."""
    x = normal((70, 70), dtype, offset=1e3)
    x[:, 1], x[1], x[:65, 2], x[2, :65], x[3, 4], x[5, 6] = 0, 0, 0, 0, np.nan, np.inf
    x[:, 8], x[8] = 7, 7
    for eps in (1e-5, 0.0):
        assert_same(plain_norms(x, axes, eps))


@F32_AND_F64
def test_pilots_that_mislead(dtype):
    """More and more: somewhere between, a leaf is summed again."""
    x = normal((40, 300), dtype)
    x[:, 64:] += np.linspace(0, 4, 40, dtype=dtype)[:, None]
    assert_same([layer_norm(x, (1,)), layer_norm(np.ascontiguousarray(x.T), (0,))])


@pytest.mark.parametrize(("dtype", "low", "high"), [("float32", -50, 63), ("float64", -450, 500)])
def test_where_rescue_begins(dtype, low, high):
    """In columns a rescued statistic is summed in another order."""
    x = normal((60, 9), dtype)
    for scale in (low - 1, low, low + 1, high - 1, high, high + 0.5):
        assert_same([layer_norm((x * 2.0**scale).astype(dtype), (0,), eps=0.0)])


@pytest.mark.parametrize("x_scale", [1e-20, 1e37])
@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e30])
def test_weights_that_leave_the_range(scale, x_scale):
    x = normal((4, 40)) * np.float32(x_scale)
    for shape in ((1, 40), (4, 1)):  # after, and folded
        w = normal(shape, seed=2) * np.float32(scale)
        for eps in (0.0, 1e-5):
            assert not differs(fastnorm.layer_norm(x, w, eps=eps), normalize(x, frozenset({1}), w, eps=eps)[0])


def test_given_statistics_that_leave_the_range():
    """A difference from the mean, the factor, or what scales them both."""
    largest = np.finfo(np.float32).max
    x = np.array([-largest, largest, 0, 1, 2.0**104, np.inf], np.float32)[:, None].repeat(6, axis=1)
    mean = np.array([2.0**102, 2.0**103, 2.0**104, -largest, 0, 1])
    var, weight = np.array([1e38, 1e38, 1e38, 1e38, 0, 1e200]), np.float32([1, 1, 1, 1, 1e38, 1e-44])
    got = fastnorm.batch_norm(x, mean, var, weight, eps=1e-300)
    known = mean[None], 1 / np.sqrt(var[None] + 1e-300)
    assert not differs(got, normalize(x, frozenset({0}), weight[None], kind="given", known=known)[0])


@pytest.mark.parametrize("result", ["float32", "float16", "float64"])
def test_storage_types(result):
    """One rounding at the store; float16 data summed in float32, or in float64 for a float64 result."""
    for dtype in ("float16", "float32", "float64"):
        for axis in (0, 1):
            x = normal((33, 50), dtype, offset=2.0)
            expected = normalize(x, frozenset({axis}), eps=1e-5, result=result)[0]
            assert not differs(fastnorm.layer_norm(x, axis=axis, dtype=result), expected)


@F32_AND_F64
@pytest.mark.parametrize("p", [3, 0.5, -1.5, 0])
def test_any_norm(p, dtype):
    for shape, axes in [((3, 1100), (1,)), ((1100, 3), (0,)), ((9, 2, 5), (0, 2))]:
        x = normal(shape, dtype, offset=1.0)
        assert not differs(fastnorm.normalize(x, p=p, axis=axes), others.normalize_any(x, frozenset(axes), p))


@F32_AND_F64
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.6])
@pytest.mark.parametrize("size", [1, 4, 5, 30])
def test_local_response_norm(size, beta, dtype):
    x = normal((2, 21, 5, 4), dtype, scale=3.0)
    expected = others.local_response_norm(x, size, 0.3, beta, 1.5, 1)
    got = fastnorm.local_response_norm(x, size, alpha=0.3, beta=beta, k=1.5)
    assert not differs(got, expected)
    last = fastnorm.local_response_norm(
        np.ascontiguousarray(np.moveaxis(x, 1, -1)), size, alpha=0.3, beta=beta, k=1.5, channel_axis=-1
    )
    assert not differs(np.moveaxis(last, -1, 1), expected)


@F32_AND_F64
@pytest.mark.parametrize("channels", [1, 3, 4, 7])
def test_images(channels, dtype):
    mean, std = (
        [0.485, 0.456, 0.406, 0.5, 0.1, 0.2, 0.3][:channels],
        [0.229, 0.224, 0.225, 0.3, 2.0, 0.1, 1.0][:channels],
    )
    pixels = np.random.default_rng(0).integers(256, size=(13, 11, channels), dtype=np.uint8)
    for image, scale in ((pixels, 1 / 255), (normal(pixels.shape), 1.0)):
        expected = others.normalize_image(image, mean, std, scale, dtype)
        for layout, order in (("HWC->HWC", (0, 1, 2)), ("HWC->CHW", (2, 0, 1))):
            got = fastnorm.normalize_image(image, mean, std, layout=layout, dtype=dtype)
            assert not differs(got, expected.transpose(order))


@F32_AND_F64
@pytest.mark.parametrize("p", [0.1, 0.5, 1 - 1e-9, 1e-12])
def test_dropout(p, dtype):
    x = normal((3, 331), dtype)
    x[0, :3] = np.nan, np.inf, -0.0
    key = int(np.random.default_rng(5).integers(2**64, dtype=np.uint64))
    assert_same([("dropout", fastnorm.dropout(x, p, rng=5, return_mask=True), others.dropout(x, p, key))])


@F32_AND_F64
@pytest.mark.parametrize("activation", others.ACTIVATIONS)
def test_cell(activation, dtype):
    """The products of ones and zeros are exact in whatever order BLAS adds them."""
    a, gain, bias = normal((5, 33), dtype), normal(33, dtype, scale=3.0, seed=1), normal(33, dtype, seed=2)
    zeros, one = np.zeros((33, 33), dtype), np.eye(33, dtype=dtype)
    got = fastnorm.layer_norm_rnn_cell(a, np.zeros_like(a), one, zeros, gain, bias, activation=activation)
    assert not differs(got, others.cell(a, gain, bias, activation))


ROWS, COLUMNS = ((2, 2500), (1,)), ((2500, 3), (0,))
DECIDING = {
    "FN_PILOT": ROWS,
    "FN_LEAF": ROWS,
    "FN_CHUNK": ((1, 50_000), (1,)),
    "FN_ROW_PILOT": COLUMNS,
    "FN_ROW_LEAF": ((300, 64), (0,)),
    "FN_ROW_CHUNK": ((2500, 64), (0,)),
    "FN_ROW_SIDE": COLUMNS,
    "FN_ROW_STRETCH": ((50, 2, 20), (0, 2)),
    "FN_ROW_OUTER": ((150, 2, 40), (0, 2)),
    "FN_WIDE_STRETCH": ((256, 2, 300), (0, 2)),
    "FN_SEGMENT": ((2, 3, 20), (1, 2)),
}


@pytest.mark.parametrize("constant", DECIDING)
def test_every_constant_decides_bits(constant, monkeypatch):
    """With another one the twin gives other bits: so these tests would see a kernel that had it."""
    shape, axes = DECIDING[constant]
    x = normal(shape, offset=50.0)
    weight = (
        normal([n if a in axes[:1] else 1 for a, n in enumerate(shape)], seed=3) if constant == "FN_SEGMENT" else None
    )
    got = fastnorm.layer_norm(x, weight, axis=axes, return_stats=True)
    assert_same([(constant, got, normalize(x, frozenset(axes), weight, eps=1e-5)[:3])])
    module = reduction if hasattr(reduction, constant) else reduction_words
    value = getattr(module, constant)
    monkeypatch.setattr(module, constant, value * 2 if constant == "FN_SEGMENT" else value // 2)
    found = normalize(x, frozenset(axes), weight, eps=1e-5)
    assert any(differs(one, other) for one, other in zip(got, found[:3], strict=True))


def test_multiply_add_of_the_twin():
    """Exact before its one rounding: halfway cases, cancellation, and the ends of the range."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4000)) * 2.0 ** rng.integers(-30, 30, (2, 4000))
    c = np.concatenate([-a[:1000] * b[:1000], a[1000:] * 2.0 ** rng.integers(-60, 60, 3000)])
    a[:200] *= 2.0**-1000
    a[200:300] = 2.0**1000
    expected = [exact_fma(*map(float, one)) for one in zip(a, b, c, strict=True)]
    assert not differs(fma(a, b, c), np.array(expected))
    narrow = [one.astype(np.float32) for one in (a[300:], b[300:], c[300:])]
    found = fma(*narrow)
    for x, y, z, r in zip(*narrow, found, strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        near = [Fraction(float(np.nextafter(r, np.float32(side)))) for side in (-np.inf, np.inf)]
        assert all(abs(Fraction(float(r)) - exact) <= abs(one - exact) for one in near)


def test_the_page_has_the_constants_of_the_twin():
    page = (Path(__file__).parent.parent / "docs" / "reduction.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*`) \| ([\d, ]+) \|", page, re.MULTILINE)
    found = {
        name: int(n) for names, values in rows for name, n in zip(names.split(", "), values.split(", "), strict=True)
    }
    assert found.keys() == {f"`{name}`" for name in (*DECIDING, "FN_ROW_GROUP")}
    for name, value in found.items():
        assert value == (vars(reduction) | vars(reduction_words))[name.strip("`")]
