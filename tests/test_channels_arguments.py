"""What callers of the norms over channels may pass and what they may not.

A refusal is of the right class, names the argument, what came and what was expected, and leaves `out` and the running
arrays as they were. What is accepted (channels-last, parameters of every shape, memory of every kind) means the same
as the plain call.
"""

import re

import numpy as np
import pytest
from arrays import LAYOUTS, normal
from channel_calls import CALLS, PER_SAMPLE, RUNNING, SENTINEL, X, call, refuse, running_arrays
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm

AxisError = getattr(np, "exceptions", np).AxisError  # NumPy 1.24 has it in its main namespace


# What every norm over channels takes.


@pytest.mark.parametrize("name", CALLS)
def test_channel_axes_are_refused(name):
    for axis in (3, -4, 10**30):
        message = f"^channel_axis: axis {axis} is out of bounds for array of dimension 3$"
        refuse(name, AxisError, message, channel_axis=axis)
    for axis in (None, 1.0, "1", (1,)):
        message = rf"^channel_axis is {re.escape(repr(axis))}, expected an int$"
        refuse(name, TypeError, message, channel_axis=axis)


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_samples_are_no_channels(name):
    for axis in (0, -3):
        refuse(name, ValueError, rf"^channel_axis is {axis}, the axis of samples of ", channel_axis=axis)
    for x in (1.0, np.ones(4, "f4")):
        refuse(name, ValueError, r"^(x|content) has shape \(4?,?\), expected at least the two axes of samples", x=x)


@pytest.mark.parametrize("name", CALLS)
def test_values_of_shared_arguments_are_refused(name):
    x_name = "content" if name == "adaptive_instance_norm" else "x"
    refuse(name, ValueError, "^eps is -1, expected a finite number >= 0$", eps=-1)
    refuse(name, TypeError, "^eps is None, expected a number$", eps=None)
    refuse(name, TypeError, f"^{x_name} has dtype complex64, expected ", x=X.astype("c8"))
    refuse(name, TypeError, f"^{x_name} is a masked array", x=np.ma.array(X))
    refuse(name, TypeError, "^dtype is int32, expected ", dtype="int32")
    refuse(name, TypeError, "^dtype is float64, but out has dtype float32", dtype="float64")
    message = rf"^out has shape \(2, 3, 4\), expected \(2, 4, 3\), the shape of {x_name}$"
    refuse(name, ValueError, message, out=np.zeros((2, 3, 4), "f4"))
    refuse(name, ValueError, "^out is read-only", out=LAYOUTS["read-only"](X))
    refuse(name, TypeError, "^out has type list", out=X.tolist())


@pytest.mark.parametrize("parameter", ["weight", "bias"])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm"])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,), (5,), (4, 1), (4, 2), (1, 4), (2, 5, 1), (1, 4, 2), (4, 4, 3)])
def test_shapes_of_parameters_are_refused(name, parameter, shape):
    expected = r"\(4,\) or \(2, 4\)" if name == "instance_norm" else r"\(4,\)"
    message = rf"expected {expected} for x of shape \(2, 4, 3\) with channels along axis 1$"
    message = rf"^{parameter} has shape {re.escape(str(shape))}, " + message
    refuse(name, ValueError, message, **{parameter: np.ones(shape)})


@pytest.mark.parametrize("parameter", ["weight", "bias"])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm", "conditional_instance_norm"])
def test_dtypes_of_parameters_are_refused(name, parameter):
    shape = (3, 4) if name == "conditional_instance_norm" else 4
    refuse(name, TypeError, f"^{parameter} has dtype complex128, expected ", **{parameter: np.ones(shape, complex)})
    refuse(name, TypeError, f"^{parameter} is a masked array", **{parameter: np.ma.ones(shape)})


@pytest.mark.parametrize("name", ["batch_norm", "group_norm"])
def test_parameters_for_each_sample_are_instance_norms_alone(name):
    refuse(name, ValueError, r"^weight has shape \(2, 4\), expected \(4,\) for x", weight=np.ones((2, 4)))


@pytest.mark.parametrize("shape", [(1, 4, 1), (2, 4, 1), (1, 1, 3), (2, 1, 1), (2, 4, 3), (1, 1, 1)])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm"])
def test_parameters_of_full_rank(name, shape):
    weight, bias = normal(shape, seed=1), normal(shape, seed=2)
    assert_allclose(call(name, weight=weight, bias=bias), call(name) * weight + bias, rtol=1e-5, atol=4e-6)


def test_parameters_for_each_sample():
    weight, bias = normal((2, 4), seed=1), normal((2, 4), seed=2)
    expected = fastnorm.instance_norm(X) * weight[:, :, None] + bias[:, :, None]
    for axis in (1, 2):
        y = fastnorm.instance_norm(np.moveaxis(X, 1, axis), weight=weight, bias=bias, channel_axis=axis)
        assert_allclose(np.moveaxis(y, axis, 1), expected, rtol=1e-5, atol=4e-6)


@pytest.mark.parametrize("name", CALLS)
def test_channels_last(name):
    options = {"weight": normal(4, seed=1), "bias": normal(4, seed=2)}
    if name.endswith("instance_norm") and name != "instance_norm":
        options = {}
    y, mean, rstd = call(name, return_stats=True, **options)
    if name == "adaptive_instance_norm":
        options["style"] = np.moveaxis(CALLS[name]["style"], 1, -1)
    last, *statistics = call(name, np.moveaxis(X, 1, -1).copy(), channel_axis=-1, return_stats=True, **options)
    assert_allclose(np.moveaxis(last, -1, 1), y, rtol=1e-5, atol=4e-6)
    assert_allclose(statistics, (mean, rstd), rtol=1e-5)
    shapes = {"batch_norm": (4,), "group_norm": (2, 2)}
    assert mean.shape == rstd.shape == shapes.get(name, (2, 4))
    assert mean.dtype == rstd.dtype == np.float64


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0), (2, 0, 3), (0, 0, 0), (0, 4)])
def test_empty(name, shape):
    options = {}
    if name in RUNNING:
        options = running_arrays(count=shape[1])
    if name == "conditional_instance_norm":
        tables = dict.fromkeys(("weight", "bias"), np.ones((3, shape[1])))
        options = {"labels": np.ones(shape[0], int), **tables}
    if name == "adaptive_instance_norm":
        options = {"style": np.ones((1, shape[1], 2))}
    y, mean, rstd = call(name, np.empty(shape, "f4"), return_stats=True, **options)
    assert (y.shape, y.dtype) == (shape, np.float32)
    assert mean.shape == {"batch_norm": shape[1:2], "group_norm": (shape[0], 2)}.get(name, shape[:2])
    assert np.isnan(mean).all()
    assert np.isnan(rstd).all()
    out = np.empty(shape, np.float16)
    assert call(name, np.empty(shape, "f4"), out=out, **options) is out
    if name in RUNNING:
        assert_array_equal(list(options.values()), list(running_arrays(count=shape[1]).values()))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64"])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm"])
def test_constant_channels_give_exactly_the_bias(name, dtype):
    x = np.broadcast_to(np.array([[3], [0], [-7], [1000]]), (2, 4, 11)).astype(dtype)
    if name == "group_norm":
        x = x[:, [0, 0, 3, 3]]
    bias = np.array([0.1, -2, 30, 0.7])
    expected = np.empty_like(x, dtype="float64" if dtype == "int64" else dtype)
    expected[...] = bias.astype("float64" if dtype in ("float64", "int64") else "float32")[:, None]
    assert_array_equal(call(name, x, weight=[5, 6, 7, 8], bias=bias), expected)


@pytest.mark.parametrize("name", CALLS)
def test_results_of_every_memory_order(name):
    x = normal((2, 4, 6, 5), offset=1.0)
    expected = call(name, x)
    for source in (x, np.asfortranarray(x), np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)):
        y = call(name, source)
        assert y.strides == np.empty_like(source).strides
        assert_allclose(y, expected, rtol=1e-5, atol=4e-6)
        big = np.full((4, 6, 8, 7), SENTINEL, np.float64)
        crop = big[1:-1, 1:-1, 1:-1, 1:-1]
        assert call(name, source, out=crop) is crop
        assert_allclose(crop, expected, rtol=1e-4, atol=1e-5)
        assert (big == SENTINEL).sum() == big.size - x.size
        mine = source.copy(order="K")
        assert call(name, mine, out=mine) is mine
        assert_array_equal(mine, y)


# Labels, styles, groups.


@pytest.mark.parametrize("kind", ["int8", "int64", "uint8", "uint64", ">i4"])
def test_labels_choose_rows(kind):
    weight, bias = normal((3, 4), seed=1), normal((3, 4), seed=2)
    labels = np.array([2, 0]).astype(kind)
    y = fastnorm.conditional_instance_norm(X, labels, weight, bias)
    assert_array_equal(y, fastnorm.instance_norm(X, weight=weight[[2, 0]], bias=bias[[2, 0]]))
    y = fastnorm.conditional_instance_norm(X, labels, None, bias)
    assert_array_equal(y, fastnorm.instance_norm(X, bias=bias[[2, 0]]))


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([0, 3], ValueError, r"has 3, expected integers in \[0, 3\), the rows of weight and bias$"),
        ([-1, 0], ValueError, r"has -1, expected integers in \[0, 3\)"),
        (np.uint64([0, 2**63]), ValueError, "has 9223372036854775808, expected"),
        ([0.0, 1.0], TypeError, "has dtype float64, expected integers$"),
        ([True, False], TypeError, "has dtype bool, expected integers$"),
        ([0], ValueError, r"has shape \(1,\), expected \(2,\) for x of shape \(2, 4, 3\)$"),
        (0, ValueError, r"has shape \(\), expected \(2,\)"),
        ([[0], [1]], ValueError, r"has shape \(2, 1\), expected \(2,\)"),
        (np.ma.array([0, 1]), TypeError, "is a masked array"),
    ],
)
def test_labels_are_refused(labels, kind, message):
    refuse("conditional_instance_norm", kind, "^labels " + message, labels=labels)


def test_tables_are_refused():
    for shape in [(4,), (3, 5), (3, 4, 1), (4, 3)]:
        message = rf" has shape {re.escape(str(shape))}, expected \(K, 4\) for x of shape \(2, 4, 3\)"
        for name in ("weight", "bias"):
            refuse("conditional_instance_norm", ValueError, f"^{name}" + message, **{name: np.ones(shape)})
    message = r"^bias has shape \(2, 4\), expected \(3, 4\), the one of weight$"
    refuse("conditional_instance_norm", ValueError, message, bias=np.ones((2, 4)))


def test_styles_of_any_spatial_shape():
    style = normal((2, 4, 5, 6), offset=3.0, scale=2.0, seed=1)
    weight, bias = np.sqrt(style.var((2, 3), dtype=float) + 1e-5), style.mean((2, 3), dtype=float)
    expected = fastnorm.instance_norm(X, weight=weight, bias=bias)
    for one in (style, style.reshape(2, 4, 30), style.astype(float)):
        assert_allclose(fastnorm.adaptive_instance_norm(X, one), expected, rtol=1e-5, atol=1e-5)
    y = fastnorm.adaptive_instance_norm(X, style[:1])
    assert_array_equal(y, fastnorm.adaptive_instance_norm(X, np.repeat(style[:1], 2, axis=0)))
    assert fastnorm.adaptive_instance_norm(X.astype("f2"), style.astype(float)).dtype == np.float16


def test_a_style_without_elements_gives_nan():
    assert np.isnan(fastnorm.adaptive_instance_norm(X, np.empty((2, 4, 0)))).all()
    # One element, or no spatial axes at all, is a mean with no deviation.
    y = fastnorm.adaptive_instance_norm(X, normal((2, 4)), eps=0)
    assert_array_equal(y, np.broadcast_to(normal((2, 4, 1)), X.shape))


def test_a_result_that_overlaps_its_style():
    memory = normal((3, 4, 3))
    expected = fastnorm.adaptive_instance_norm(X, memory[:2].copy())
    fastnorm.adaptive_instance_norm(X, memory[:2], out=memory[1:])
    assert_array_equal(memory[1:], expected)


def test_styles_are_refused():
    for shape in [(3, 4, 3), (2, 3, 4), (2, 5), (0, 4, 3)]:
        message = rf"^style has shape {re.escape(str(shape))}, expected 2 samples or 1, and 4 channels along axis 1, "
        message += r"for content of shape \(2, 4, 3\)$"
        refuse("adaptive_instance_norm", ValueError, message, style=np.ones(shape))
    refuse("adaptive_instance_norm", ValueError, r"^style has shape \(4,\), expected at least", style=np.ones(4))
    refuse("adaptive_instance_norm", TypeError, "^style has dtype complex128", style=np.ones((2, 4, 3), complex))
    refuse("adaptive_instance_norm", AxisError, "^channel_axis: axis 2 ", style=np.ones((2, 4)), channel_axis=2)


@pytest.mark.parametrize("num_groups", [0, -1, -2, 3, 5, 8])
def test_groups_that_do_not_divide_are_refused(num_groups):
    message = f"^num_groups is {num_groups}, expected a positive divisor of 4, the number of channels of x of shape "
    refuse("group_norm", ValueError, message + r"\(2, 4, 3\) along axis 1$", num_groups=num_groups)


def test_what_is_no_number_of_groups_is_refused():
    for num_groups in (None, 2.0, "2"):
        message = rf"^num_groups is {re.escape(repr(num_groups))}, expected an int$"
        refuse("group_norm", TypeError, message, num_groups=num_groups)


def test_groups_of_one_channel_and_of_all():
    weight, bias = normal(4, seed=1), normal(4, seed=2)
    y = fastnorm.group_norm(X, 4, weight, bias)
    assert_allclose(y, fastnorm.instance_norm(X, weight=weight, bias=bias), rtol=1e-5, atol=4e-6)
    expected = fastnorm.layer_norm(X, weight[None, :, None], bias[None, :, None], axis=(1, 2))
    assert_allclose(fastnorm.group_norm(X, 1, weight, bias), expected, rtol=1e-5, atol=4e-6)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_groups_of_a_subclass():
    x = np.matrix([[1.0, 3.0, 10.0, 30.0]])
    assert_array_equal(fastnorm.group_norm(x, 2, eps=0), [[-1, 1, -1, 1]])
    assert_array_equal(fastnorm.group_norm(x, 2, eps=0, out=x), [[-1, 1, -1, 1]])


def test_options_are_keywords():
    with pytest.raises(TypeError, match="positional argument"):
        fastnorm.batch_norm(X, None, None, None, None, True)
    with pytest.raises(TypeError, match="positional argument"):
        fastnorm.group_norm(X, 2, None, None, 1e-5)
