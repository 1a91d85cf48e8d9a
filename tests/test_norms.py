"""Every function, dtype and layout against the reference, with the tolerance that agreement.py derives.

The instruction set is the one in use: the whole suite runs once for each that the machine has.
"""

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, OTHER_ORDER, SAME_ORDER, dtype_of, normal

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import error

# Around a vector (8, 16), the lanes (32, 64), the pilot (64), a leaf (1024) and a chunk (65536).
LENGTHS = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 255, 768, 1023, 1024, 1025, 2049, 5000, 65536, 70001]
PARAMETERS = {"none": (), "weight": ("weight",), "bias": ("bias",), "both": ("weight", "bias")}


def parameters(names, shape, dtype):
    return {name: normal(shape, dtype, offset=0.5, seed=7 + i) for i, name in enumerate(names)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_lengths(length, dtype):
    x = normal((3, length), dtype, offset=3.0, scale=2.0)
    given = parameters(("weight", "bias"), (length,), dtype)
    y = fastnorm.layer_norm(x, **given)
    assert y.dtype == x.dtype
    assert error(y, x, **given, reference_function=reference.layer_norm) <= 1
    y = fastnorm.rms_norm(x, given["weight"])
    assert y.dtype == x.dtype
    assert error(y, x, given["weight"], reference_function=reference.rms_norm) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", PARAMETERS.values(), ids=PARAMETERS.keys())
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("length", [33, 3000])
def test_parameters(length, center, names, dtype):
    x = normal((5, length), dtype, offset=-2.0)
    given = parameters(names, (length,), dtype)
    y = fastnorm.layer_norm(x, **given, center=center, eps=1e-3)
    assert error(y, x, **given, reference_function=reference.layer_norm, center=center, eps=1e-3) <= 1


@pytest.mark.parametrize("result", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [45, 1500])
@pytest.mark.parametrize("how", ["dtype", "out"])
def test_result_dtypes(how, length, dtype, result):
    x = normal((4, length), dtype, offset=1.0)
    given = parameters(("weight", "bias"), (length,), "float32")
    if how == "dtype":
        y = fastnorm.layer_norm(x, **given, dtype=dtype_of(result))
    else:
        y = np.zeros(x.shape, dtype_of(result))
        assert fastnorm.layer_norm(x, **given, out=y) is y
    assert y.dtype == dtype_of(result)
    assert error(y, x, **given, reference_function=reference.layer_norm) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("layout", "out_layout"),
    [
        (layout, out_layout)
        for layout in LAYOUTS
        for out_layout in ["new", "in place", "contiguous", "padded", "every second", "Fortran"]
        if (layout, out_layout) != ("read-only", "in place")
    ],
)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((4, 37), -1),
        ((2, 3, 40), -1),
        ((2, 3, 4, 5), (2, 3)),
        ((2, 6, 5, 3), 1),
        ((2, 5, 4, 3), (0, 2)),
        ((3, 4), (0, 1)),
    ],
)
def test_layouts(shape, axis, layout, out_layout, dtype):
    values = normal(shape, dtype, offset=1.0)
    x = LAYOUTS[layout](values)
    axes = (axis,) if isinstance(axis, int) else axis
    given = parameters(("weight", "bias"), [shape[a] for a in axes], dtype)
    if out_layout == "new":
        out = None
    elif out_layout == "in place":
        out = x
    else:
        out = LAYOUTS[out_layout](np.zeros_like(values))
    y, mean, rstd = fastnorm.layer_norm(x, **given, axis=axis, out=out, return_stats=True)
    assert out is None or y is out
    assert error(y, values, **given, reference_function=reference.layer_norm, axis=axis) <= 1
    _, expected_mean, expected_rstd = reference.layer_norm(values, axis=axis, return_stats=True)
    bound = 2.0**-20 if values.dtype != np.float64 else 2.0**-48
    np.testing.assert_allclose(mean, expected_mean, rtol=bound, atol=bound)
    np.testing.assert_allclose(rstd, expected_rstd, rtol=bound)


@pytest.mark.parametrize("layout", OTHER_ORDER)
def test_result_keeps_the_memory_order(layout):
    x = OTHER_ORDER[layout](normal((4, 5, 6)))
    assert fastnorm.layer_norm(x).strides == np.empty_like(x).strides == x.strides


@pytest.mark.parametrize(
    ("function", "name"), [("layer_norm", "weight"), ("layer_norm", "bias"), ("rms_norm", "weight")]
)
@pytest.mark.parametrize("shape", [(1, 1, 24), (5, 1, 24), (1, 7, 24), (5, 7, 24), (5, 7, 1), (1, 1, 1), (5, 1, 1)])
def test_parameters_of_full_rank(shape, function, name):
    x = normal((5, 7, 24), offset=1.0)
    given = {name: normal(shape, seed=3)}
    y = getattr(fastnorm, function)(x, **given)
    assert error(y, x, **given, reference_function=getattr(reference, function)) <= 1


def test_parameters_that_differ_in_what_they_vary_over():
    x = normal((3, 4, 5, 24), offset=1.0)
    weight, bias = normal((3, 1, 5, 24), seed=1), normal((1, 4, 1, 1), seed=2)
    y = fastnorm.layer_norm(x, weight, bias)
    assert error(y, x, weight, bias, reference_function=reference.layer_norm) <= 1
    y = fastnorm.layer_norm(x, weight, bias, axis=(1, 3))
    assert error(y, x, weight, bias, reference_function=reference.layer_norm, axis=(1, 3)) <= 1


@pytest.mark.parametrize("axis", [(1, 2), (2, 1), [-1, 1]])
def test_parameters_follow_the_order_of_x(axis):
    x = normal((3, 4, 5))
    weight = normal((4, 5), seed=1)
    y = fastnorm.layer_norm(x, weight, axis=axis)
    assert error(y, x, weight, reference_function=reference.layer_norm, axis=(1, 2)) <= 1


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool"])
def test_integers_compute_in_float64(dtype):
    x = (normal((4, 50)) * 10).astype(dtype)
    y = fastnorm.layer_norm(x)
    assert y.dtype == np.float64
    assert error(y, x.astype(np.float64), reference_function=reference.layer_norm) <= 1
    assert np.array_equal(fastnorm.layer_norm(x, dtype=np.float32), y.astype(np.float32))


def test_integers_beyond_float32():
    x = 2**40 + np.arange(8)
    y = fastnorm.layer_norm(x, dtype=np.float32)
    assert y.dtype == np.float32
    assert error(y, x.astype(np.float64), reference_function=reference.layer_norm) <= 1


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("function", ["layer_norm", "rms_norm"])
def test_long_rows(rows, function):
    """Long enough for two threads to share a row."""
    x = normal((rows, 700_001), offset=5.0)
    weight = normal(700_001, seed=1)
    y = getattr(fastnorm, function)(x, weight)
    assert error(y, x, weight, reference_function=getattr(reference, function)) <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_past_the_cache(dtype):
    """Above 32 MB a reused result is streamed, whole vectors at a time: every element around them must be right."""
    shape = (4201, 2003) if dtype == "float32" else (2101, 2003)
    x = np.resize(normal(65521, dtype, offset=2.0), shape)
    given = parameters(("weight", "bias"), (2003,), dtype)
    memory = np.zeros(x.size + 2 * 201, x.dtype)  # a few bytes behind x it would not be
    memory.fill(0)
    out = memory[201:-201].reshape(shape)
    expected = np.concatenate([fastnorm.layer_norm(part, **given) for part in np.array_split(x, 7)])
    assert np.array_equal(fastnorm.layer_norm(x, **given, out=out), expected)
    assert not memory[:201].any()
    assert not memory[-201:].any()


def test_a_wrong_kernel_would_fail():
    """The check itself: errors of the size that a wrong kernel makes are seen."""
    x = normal((4, 768), offset=10.0)
    right = fastnorm.layer_norm(x)
    judged = {
        "right": right,
        "unbiased variance": right * np.float32(np.sqrt(767 / 768)),
        "one element missing from the sum": right + np.float32(1 / 768),
        "eps outside the root": (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1e-5),
        "rows swapped": right[::-1],
        "float32 variance by E[x^2] - E[x]^2": (x - x.mean(-1, keepdims=True))
        / np.sqrt((x * x).mean(-1, keepdims=True) - x.mean(-1, keepdims=True) ** 2),
    }
    errors = {
        name: error(y.astype(np.float32), x, reference_function=reference.layer_norm) for name, y in judged.items()
    }
    assert errors.pop("right") <= 1
    assert min(errors.values()) > 1, errors


def test_same_order_layouts_keep_their_order():
    """What SAME_ORDER promises the reproducibility tests."""
    values = normal((4, 6))
    for name, make in SAME_ORDER.items():
        x = make(values)
        assert np.array_equal(x, values), name
        assert abs(x.strides[0]) > abs(x.strides[1]), name
