"""Folding: the folded and fused parameters do what norm, or layer and norm, did one after the other.

A layer is checked at one place of its output: there a convolution, transposed or not, is a sum over input channels and
some places of its kernel. `test_oracles_folding` has whole layers.
"""

import inspect
import tracemalloc
import warnings

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, dtype_of, normal, swapped
from fusion import GIVEN, SMALLEST_NORMAL, U, allowed, magnitude, norm_of, scale_of, wide
from hypothesis import given
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import UNIT_ROUNDOFF, distance

NAMES = ("fold_batch_norm", "fuse_linear_batch_norm", "fuse_conv_batch_norm")


def layer(x, weight, bias=None, transposed=False, groups=1):
    """One place of a convolution's output (N, C_out), for x (N, C_in, k) at the k places of the kernel."""
    per_group = []
    for inputs, weights in zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True):
        letters = "io" if transposed else "oi"
        per_group.append(np.einsum(f"nik,{letters}k->no", inputs, weights))
    y = np.concatenate(per_group, axis=1)
    return y if bias is None else y + bias


def after(y, norm, eps=1e-5):
    """The norm after a layer."""
    parameters = (wide(norm[name]) if name in norm else None for name in ("bn_weight", "bn_bias"))
    return reference.batch_norm(y, wide(norm["running_mean"]), wide(norm["running_var"]), *parameters, eps=eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", [(), ("weight",), ("bias",), ("weight", "bias")])
def test_fold_is_the_norm(names, dtype):
    mean, var = (normal(7, dtype, offset=1.0, seed=1), normal(7, dtype, seed=2) ** 2)
    affine = {name: normal(7, dtype, offset=0.5, seed=3 + i) for i, name in enumerate(names)}
    x = normal((50, 7), "float64", offset=2.0)
    scale, shift = fastnorm.fold_batch_norm(mean, var, **affine, eps=0.25)
    assert scale.dtype == shift.dtype == mean.dtype
    assert scale.shape == shift.shape == mean.shape
    y = x * wide(scale) + wide(shift)
    options = {name: wide(value) for name, value in affine.items()}
    expected = reference.batch_norm(x, wide(mean), wide(var), **options, eps=0.25)
    norm = {"running_mean": mean, "running_var": var} | {f"bn_{name}": value for name, value in affine.items()}
    sizes = np.abs(scale_of(norm, 0.25)) * (np.abs(x) + np.abs(wide(mean))) + np.abs(wide(affine.get("bias", 0.0)))
    assert (np.abs(y - expected) <= (UNIT_ROUNDOFF[dtype] + 12 * U) * sizes + 2 * SMALLEST_NORMAL[dtype]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", GIVEN)
def test_fused_linear_is_layer_and_norm(names, dtype):
    x, weight, norm = normal((20, 9), "float64"), normal((5, 9), dtype), norm_of(5, names)
    fused, bias = fastnorm.fuse_linear_batch_norm(weight, **norm)
    assert fused.dtype == bias.dtype == weight.dtype
    y = x @ wide(fused).T + wide(bias)
    before = 0.0 if norm["bias"] is None else wide(norm["bias"])
    expected = after(x @ wide(weight).T + before, norm)
    assert distance(y, expected, allowed(np.abs(x) @ np.abs(wide(weight)).T, norm, 9, dtype)) <= 1


@given(
    groups=st.integers(1, 4),
    inputs=st.integers(1, 4),
    outputs=st.integers(1, 4),
    places=st.integers(1, 3),
    transposed=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    names=st.sampled_from(GIVEN),
    layout=st.sampled_from([*LAYOUTS]),
)
def test_fused_convolution_is_layer_and_norm(groups, inputs, outputs, places, transposed, dtype, names, layout):
    lengths = (groups * inputs, outputs) if transposed else (groups * outputs, inputs)
    weight, norm = normal((*lengths, places), dtype), norm_of(groups * outputs, names)
    x = normal((3, groups * inputs, places), "float64", seed=9)
    options = {"transposed": transposed, "groups": groups}
    fused, bias = fastnorm.fuse_conv_batch_norm(LAYOUTS[layout](weight), **norm, **options)
    assert fused.dtype == bias.dtype == weight.dtype
    y = layer(x, wide(fused), wide(bias), **options)
    before = None if norm["bias"] is None else wide(norm["bias"])
    expected = after(layer(x, wide(weight), before, **options), norm)
    products = layer(np.abs(x), np.abs(wide(weight)), **options)
    assert distance(y, expected, allowed(products, norm, inputs * places, dtype)) <= 1


@pytest.mark.parametrize("transposed", [False, True])
def test_kernels_of_keras(transposed):
    """The axes of a kernel (place, C_in, C_out), or (place, C_out, C_in), moved as the docstring says."""
    x, norm = normal((3, 4, 5), "float64"), norm_of(6, dtype="float64")
    axes = "nik,koi->no" if transposed else "nik,kio->no"
    kernel = normal((5, 6, 4) if transposed else (5, 4, 6), "float64", seed=8)
    moved = np.moveaxis(kernel, (-1, -2), (0, 1))
    fused, bias = fastnorm.fuse_conv_batch_norm(moved, **norm, transposed=transposed)
    y = np.einsum(axes, x, np.moveaxis(fused, (0, 1), (-1, -2))) + bias
    expected = after(np.einsum(axes, x, kernel) + norm["bias"], norm)
    products = np.einsum(axes, np.abs(x), np.abs(kernel))
    assert distance(y, expected, allowed(products, norm, 20, "float64")) <= 1


def judge(result, weight, norm, **options):
    """Both results against the reference's before they are rounded."""
    function = reference.fuse_conv_batch_norm
    exact = function(wide(weight), **norm, **options)
    dtype = result[0].dtype.name
    sizes = [np.abs(exact[0]), magnitude(np.zeros((1, len(exact[1]))), norm)[0]]
    for got, ref, size in zip(result, exact, sizes, strict=True):
        ref = np.where(np.abs(ref) < SMALLEST_NORMAL[dtype], 0.0, ref)
        assert distance(got, ref, UNIT_ROUNDOFF[dtype] * np.abs(ref) + 12 * U * size + 2.0**-1074) <= 1


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3), (6, 4, 3, 3), (6, 4, 2, 2, 2), (6, 1, 3, 1, 1, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_against_the_reference(dtype, shape):
    weight = normal(shape, dtype)
    for other in DTYPES:
        norm = norm_of(6, dtype=other)
        judge(fastnorm.fuse_conv_batch_norm(weight, **norm, groups=2), weight, norm)
        if len(shape) == 2:
            judge(fastnorm.fuse_linear_batch_norm(weight, **norm), weight, norm)
        for groups in (1, 2, 3, 6):
            norm, options = norm_of(shape[1] * groups, dtype=other), {"transposed": True, "groups": groups}
            judge(fastnorm.fuse_conv_batch_norm(weight, **norm, **options), weight, norm, **options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_memory(dtype, layout):
    """The same bits from weights of any strides and byte order, in new arrays of the same memory order."""
    make, norm = LAYOUTS[layout], norm_of(6)
    weight = normal((6, 4, 3, 5), dtype)
    expected = fastnorm.fuse_conv_batch_norm(weight, **norm)
    for same in (make(weight), *([make(swapped(weight))] if dtype != "bfloat16" else [])):
        fused, bias = fastnorm.fuse_conv_batch_norm(same, **{name: make(value) for name, value in norm.items()})
        np.testing.assert_array_equal(fused, expected[0], strict=True)
        np.testing.assert_array_equal(bias, expected[1], strict=True)
        assert fused.strides == np.empty_like(same, dtype=fused.dtype).strides
        assert fused.dtype.isnative
        for result in (fused, bias):
            assert result.flags.writeable
            assert not any(np.may_share_memory(result, one) for one in (same, *norm.values()))


def test_inputs_are_left_alone():
    weight, norm = normal((4, 3)), norm_of(4)
    inputs = {"weight": weight} | norm
    before = {name: value.copy() for name, value in inputs.items()}
    for value in inputs.values():
        value.flags.writeable = False
    neutral = {"running_mean": np.zeros(4, np.float32), "running_var": np.ones(4, np.float32)}
    fused, bias = fastnorm.fuse_linear_batch_norm(weight, norm["bias"], **neutral, eps=0)
    np.testing.assert_array_equal(fused, weight)
    np.testing.assert_array_equal(bias, norm["bias"])
    assert not np.may_share_memory(fused, weight)
    assert not np.may_share_memory(bias, norm["bias"])
    fastnorm.fuse_conv_batch_norm(**inputs)
    fastnorm.fold_batch_norm(norm["running_mean"], norm["running_var"])
    for name, value in inputs.items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("module", [fastnorm, reference], ids=["fastnorm", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_results_are_zero(dtype, module):
    """What counts is the result after it is rounded: what rounds up to the smallest normal number stays."""
    least, u = SMALLEST_NORMAL[dtype], UNIT_ROUNDOFF[dtype]
    expected = {1: 1, 1 + 2 * u: 1 + 2 * u, 4: 4, 1 - 2 * u: 0, 0.75: 0, 0.5: 0, 2 * u: 0, 0: 0, np.nan: np.nan}
    if dtype != "float64":  # between two numbers: rounded up to the smallest normal one, and down
        expected |= {1 - 0.5 * u: 1, 1 - 1.5 * u: 0}
    values, expected = (np.array([*one]) * least for one in (expected.keys(), expected.values()))
    values, expected = np.concatenate([values, -values]), np.concatenate([expected, -expected])
    c = len(values)
    mean, var, ones = np.zeros(c, dtype_of(dtype)), np.ones(c), np.ones((c, 1), dtype_of(dtype))
    results = (
        *module.fold_batch_norm(mean, var, values, values, eps=0),
        *module.fuse_linear_batch_norm(ones, None, mean, var, values, values, eps=0),
        *module.fuse_conv_batch_norm(ones, None, mean, var, values, values, eps=0, groups=c),
        *module.fuse_conv_batch_norm(ones, None, mean, var, values, values, eps=0, groups=c, transposed=True),
    )
    for one in results:
        np.testing.assert_array_equal(wide(one).ravel(), expected)


@pytest.mark.parametrize("module", [fastnorm, reference], ids=["fastnorm", "reference"])
@pytest.mark.parametrize(("dtype", "digits"), [("float16", 10), ("bfloat16", 7), ("float32", 23)])
def test_results_are_rounded_once(dtype, digits, module):
    """Just above half a unit: float64 to the dtype rounds up, by way of float32 it would round to even, down."""
    above = np.array([1 + 2.0 ** -(digits + 1) + 2.0**-45])
    mean, var = np.zeros(1, dtype_of(dtype)), np.ones(1)
    one = np.ones((1, 1), mean.dtype)
    for result in (
        *module.fold_batch_norm(mean, var, above, above, eps=0),
        *module.fuse_linear_batch_norm(one, None, mean, var, above, above, eps=0),
        *module.fuse_conv_batch_norm(one, None, mean, var, above, above, eps=0),
    ):
        assert result.astype(float) == 1 + 2.0**-digits


def test_special_statistics_stay_in_their_channel():
    """A negative variance is NaN, one that eps makes 0 infinite, and no warning tells of either."""
    weight = np.array([[2.0], [2.0], [2.0], [1e38]], np.float32)
    mean, var = np.array([1, 1, 1, 0], np.float32), np.array([4, -1, 0, 1e-30], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fused, bias = fastnorm.fuse_linear_batch_norm(weight, None, mean, var, eps=0)
        scale, shift = fastnorm.fold_batch_norm(mean, var, eps=0)
    np.testing.assert_array_equal(fused, [[1], [np.nan], [np.inf], [np.inf]])
    np.testing.assert_array_equal(bias, [-0.5, np.nan, -np.inf, 0])
    np.testing.assert_array_equal(scale, [0.5, np.nan, np.inf, np.float32(1e15)])
    np.testing.assert_array_equal(shift, [-0.5, np.nan, -np.inf, 0])


@pytest.mark.parametrize(
    ("shape", "channels", "options"),
    [
        ((0, 3), 0, {}),
        ((3, 0), 3, {}),
        ((4, 3, 0), 4, {"groups": 2}),
        ((0, 3, 2), 6, {"transposed": True, "groups": 2}),
        ((4, 0, 2), 0, {"transposed": True, "groups": 2}),
    ],
)
def test_empty(shape, channels, options):
    norm = norm_of(channels)
    for module in (fastnorm, reference):
        fused, bias = module.fuse_conv_batch_norm(np.zeros(shape, np.float32), **norm, **options)
        assert (fused.shape, bias.shape) == (shape, (channels,))
        assert fused.dtype == bias.dtype == np.float32
    scale, shift = fastnorm.fold_batch_norm([], [])
    assert scale.shape == shift.shape == (0,)


@pytest.mark.parametrize("module", [fastnorm, reference], ids=["fastnorm", "reference"])
def test_integers_and_lists_give_float64(module):
    statistics = {"running_mean": [1, 3], "running_var": [4, 16]}
    results = (
        module.fold_batch_norm(np.array([1, 3], np.int8), [4, 16], eps=0),
        module.fuse_linear_batch_norm([[2, 4], [8, 4]], [3, 3], **statistics, bn_bias=[True, False], eps=0),
    )
    for one in (*results[0], *results[1]):
        assert one.dtype == np.float64
    np.testing.assert_array_equal(results[0], [[0.5, 0.25], [-0.5, -0.75]])
    np.testing.assert_array_equal(results[1][0], [[1, 2], [2, 1]])
    np.testing.assert_array_equal(results[1][1], [2, 0])


def test_no_temporaries_of_the_layer_s_size():
    weight, norm = np.ones((256, 128, 3, 3), np.float32), norm_of(256)
    fastnorm.fuse_conv_batch_norm(weight, **norm)
    tracemalloc.start()
    try:
        fastnorm.fuse_conv_batch_norm(weight, **norm)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.25 * weight.nbytes


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_has_the_same_parameters(name):
    own, twin = (inspect.signature(getattr(module, name)).parameters.values() for module in (fastnorm, reference))
    assert [(p.name, p.default, p.kind) for p in own] == [(p.name, p.default, p.kind) for p in twin]


ONES, THREE = np.ones(4), np.ones(3)
MASKED = np.ma.masked_array(ONES, mask=[1, 0, 0, 0])
BAD = [
    ("fold_batch_norm", {"running_mean": np.ones((2, 2))}, ValueError, r"running_mean has shape \(2, 2\), exp.*\(C,\)"),
    ("fold_batch_norm", {"running_mean": 1.0}, ValueError, r"running_mean has shape \(\), expected \(C,\)"),
    ("fold_batch_norm", {"running_var": THREE}, ValueError, r"running_var has shape \(3,\), expected \(4,\)"),
    ("fold_batch_norm", {"running_var": None}, TypeError, "running_var has dtype object"),
    (
        "fold_batch_norm",
        {"weight": THREE},
        ValueError,
        r"^weight has shape \(3,\), expected \(4,\) for running_mean of",
    ),
    ("fold_batch_norm", {"bias": np.ones((4, 1))}, ValueError, r"^bias has shape \(4, 1\), expected \(4,\)"),
    ("fold_batch_norm", {"weight": 1j * ONES}, TypeError, "weight has dtype complex128"),
    ("fold_batch_norm", {"bias": MASKED}, TypeError, "bias is a masked array"),
    ("fold_batch_norm", {"eps": -1}, ValueError, "eps is -1"),
    ("fuse_linear_batch_norm", {"weight": ONES}, ValueError, r"weight has shape \(4,\), expected \(out, in\)"),
    ("fuse_linear_batch_norm", {"weight": np.ones((4, 3, 1))}, ValueError, r"expected \(out, in\)"),
    ("fuse_linear_batch_norm", {"bias": THREE}, ValueError, r"^bias has shape \(3,\), expected \(4,\) for weight"),
    (
        "fuse_linear_batch_norm",
        {"running_mean": np.ones(1)},
        ValueError,
        r"running_mean has shape \(1,\), exp.* \(4,\)",
    ),
    ("fuse_linear_batch_norm", {"bn_weight": THREE}, ValueError, r"bn_weight has shape \(3,\), expected \(4,\)"),
    ("fuse_linear_batch_norm", {"bn_bias": THREE}, ValueError, r"bn_bias has shape \(3,\), expected \(4,\)"),
    ("fuse_linear_batch_norm", {"eps": np.nan}, ValueError, "eps is nan"),
    ("fuse_conv_batch_norm", {"weight": ONES}, ValueError, r"expected \(C_out, C_in / groups, \.\.\.\)"),
    ("fuse_conv_batch_norm", {"weight": 1.0, "transposed": True}, ValueError, r"expected \(C_in, C_out / groups"),
    ("fuse_conv_batch_norm", {"weight": np.full((4, 2), "a")}, TypeError, "weight has dtype <U1"),
    ("fuse_conv_batch_norm", {"running_var": THREE}, ValueError, r"running_var has shape \(3,\), expected \(4,\)"),
    ("fuse_conv_batch_norm", {"transposed": True}, ValueError, r"\(4,\), expected \(3,\) .* transposed, with groups=1"),
    ("fuse_conv_batch_norm", {"transposed": True, "groups": 2}, ValueError, r"\(4,\), expected \(6,\) for weight of"),
    ("fuse_conv_batch_norm", {"groups": 3}, ValueError, "groups is 3, expected a positive divisor of 4"),
    ("fuse_conv_batch_norm", {"groups": 0}, ValueError, "groups is 0, expected a positive divisor of 4"),
    ("fuse_conv_batch_norm", {"groups": 1.0}, TypeError, "groups is 1.0, expected an int"),
    ("fuse_conv_batch_norm", {"transposed": "no"}, TypeError, "transposed is 'no', expected a bool"),
]


@pytest.mark.parametrize(("name", "wrong", "error", "message"), BAD, ids=[f"{one[0]} {[*one[1]]}" for one in BAD])
def test_bad_input(name, wrong, error, message):
    right = {"running_mean": ONES, "running_var": ONES}
    if name != "fold_batch_norm":
        right = {"weight": np.ones((4, 3)), "bias": None} | right
    getattr(fastnorm, name)(**right)
    with pytest.raises(error, match=message):
        getattr(fastnorm, name)(**(right | wrong))
