"""Running means and variances: which arrays may hold them, what a batch does to them, and what they are read for.

Refusals leave them as they were. They are checked by formulas in float64, where momentum = 1 / (t + 1) makes them the
average over all batches, too.
"""

import re

import ml_dtypes
import numpy as np
import pytest
from arrays import LAYOUTS, dtype_of, normal
from channel_calls import RUNNING, X, call, refuse, running_arrays
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm


@pytest.mark.parametrize("which", ["running_mean", "running_var"])
@pytest.mark.parametrize("name", RUNNING)
def test_running_arrays_are_refused(name, which):
    bad = {
        None: (ValueError, "is None, expected running_mean and running_var together, or neither$"),
        (1.0, 2.0, 3.0, 4.0): (TypeError, "has type tuple, expected an unmasked numpy.ndarray$"),
    }
    for value, (kind, message) in bad.items():
        refuse(name, kind, f"^{which} {message}", **{which: value})
    refuse(name, TypeError, f"^{which} has type MaskedArray, expected ", **{which: np.ma.ones(4)})
    for dtype in ("int64", "bool", "complex64", "object", np.longdouble, ml_dtypes.float8_e5m2):
        message = f"^{which} has dtype {np.dtype(dtype)}, expected float16, bfloat16, float32 or float64$"
        refuse(name, TypeError, message, **{which: np.ones(4, dtype)})
    for shape in [(), (1,), (3,), (5,), (1, 4), (4, 1)]:
        expected = r"expected \(4,\) for x of shape \(2, 4, 3\) with channels along axis 1$"
        message = rf"^{which} has shape {re.escape(str(shape))}, {expected}"
        refuse(name, ValueError, message, **{which: np.ones(shape, "f4")})
    frozen = np.ones(4, "f4")
    frozen.flags.writeable = False
    refuse(name, ValueError, f"^{which} is read-only, expected a writeable array", **{which: frozen})


@pytest.mark.parametrize("name", RUNNING)
def test_running_arrays_that_overlap_are_refused(name):
    memory = np.ones(200, "f4")
    x, out, mean = memory[:24].reshape(2, 4, 3), memory[24:48].reshape(2, 4, 3), memory[100:104]
    near = {"x": memory[20:24], "out": memory[24:32:2], "running_var": memory[101:105]}
    for other, array in near.items():
        options = {"running_mean": mean, "running_var": np.ones(4), "x": x, "out": out}
        if other == "running_var":
            options["running_var"] = array
        else:
            options["running_mean"] = array
            swapped = options | {"running_mean": mean, "running_var": array}
            refuse(name, ValueError, f"^running_var overlaps {other} in memory", **swapped)
        refuse(name, ValueError, f"^running_mean overlaps {other} in memory, expected arrays apart$", **options)


def test_missing_running_arrays_are_refused():
    both = "^running_mean and running_var are None, expected both with "
    none = {"running_mean": None, "running_var": None}
    refuse("batch_norm", ValueError, both + "training=False$", training=False, **none)
    refuse("instance_norm", ValueError, both + "use_input_stats=False$", use_input_stats=False, **none)


@pytest.mark.parametrize("name", RUNNING)
def test_momentum_is_refused(name):
    for momentum in (-0.1, 1.5, np.nan, np.inf, 10**400):
        refuse(name, ValueError, "^momentum is .*, expected a number from 0 to 1$", momentum=momentum)
    for momentum in (None, "0.1", 1j):
        refuse(name, TypeError, "^momentum is .*, expected a number$", momentum=momentum)


@pytest.mark.parametrize(("name", "option"), [("batch_norm", "training"), ("instance_norm", "use_input_stats")])
def test_choices_that_are_no_bool_are_refused(name, option):
    """A string or an array has a truth, too, but perhaps not the one that was meant."""
    for value in ("yes", "False", 1, 0, None, np.ones(1, bool), 1.0):
        refuse(name, TypeError, f"^{option} is {re.escape(repr(value))}, expected a bool$", **{option: value})
    for value in (True, False):
        arrays = [running_arrays() for _ in range(2)]
        expected = call(name, **arrays[0], **{option: value})
        assert_array_equal(call(name, **arrays[1], **{option: np.bool_(value)}), expected)
        assert_array_equal(*(list(one.values()) for one in arrays))


def test_running_ddof_is_refused():
    for ddof in (-1, 2):
        refuse("batch_norm", ValueError, f"^running_ddof is {ddof}, expected 0 or 1$", running_ddof=ddof)
    refuse("batch_norm", TypeError, "^running_ddof is 1.0, expected an int$", running_ddof=1.0)


@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 1), (1, 4, 1, 1)])
def test_one_value_per_channel_in_training_is_refused(shape):
    message = rf"^x has shape {re.escape(str(shape))}: one value per channel, expected more with training=True$"
    refuse("batch_norm", ValueError, message, x=np.ones(shape, "f4"))
    refuse("batch_norm", ValueError, message, x=np.ones(shape, "f4"), running_mean=None, running_var=None)
    y = fastnorm.batch_norm(np.full(shape, 3.0), np.ones(4), np.full(4, 4.0), eps=0)
    assert_array_equal(y, np.ones(shape))


@pytest.mark.parametrize("shape", [(2, 4), (1, 4), (2, 4, 1), (2, 4, 1, 1)])
def test_one_element_per_instance(shape):
    x, bias = normal(shape), np.float32([1, 2, 3, 4])
    message = rf"^x has shape {re.escape(str(shape))}: one element per instance, expected more to update running_var$"
    refuse("instance_norm", ValueError, message, x=x)
    expected = np.broadcast_to(bias.reshape([4] + [1] * (len(shape) - 2)), shape)
    assert_array_equal(fastnorm.instance_norm(x, weight=normal(4), bias=bias), expected)
    fastnorm.instance_norm(x, **running_arrays(), use_input_stats=False)


def batches():
    """Batches of one size and different statistics."""
    return [normal((5, 4, 3), "float64", offset=t, scale=t + 1, seed=t) for t in range(6)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", ">f4"])
@pytest.mark.parametrize("momentum", [0, 0.1, 0.75, 1, np.float32(0.5)])
@pytest.mark.parametrize("ddof", [0, 1])
def test_running_arrays_of_batch_norm_are_rounded_once(dtype, momentum, ddof):
    dtype = np.dtype(dtype) if dtype == ">f4" else dtype_of(dtype)
    # Every second element, backwards: any strides.
    mean, var = (np.arange(8.0).astype(dtype)[::-2] for _ in range(2))
    expected = [one.astype(float) for one in (mean, var)]
    x = batches()[1]
    fastnorm.batch_norm(x, mean, var, training=True, momentum=momentum, running_ddof=ddof)
    for running, old, batch in zip((mean, var), expected, (x.mean((0, 2)), x.var((0, 2), ddof=ddof)), strict=True):
        new = (1 - float(momentum)) * old + float(momentum) * batch
        unit = np.nextafter(running, np.array(np.inf, dtype)).astype(float) - running.astype(float)
        assert (abs(running.astype(float) - new) <= 0.51 * unit + 1e-14).all()


def test_bfloat16_running_arrays_are_not_rounded_twice():
    """1 + 2**-8 + 2**-30 is above the middle of two bfloat16 values, but its float32 is the middle."""
    batch = 1 + 2.0**-8 + 2.0**-30
    x = np.array([[batch - 1], [batch + 1]])
    mean, var = np.zeros((2, 1), dtype_of("bfloat16"))
    fastnorm.batch_norm(x, mean, var, training=True, momentum=1)
    assert mean.astype(float) == [1 + 2.0**-7]


def test_momentum_of_one_over_t_averages_over_all_batches():
    """The population statistics of inference: E[mean] and m / (m - 1) * E[var] over batches of m values."""
    mean, var = np.full((2, 4), np.nan)
    for t, x in enumerate(batches()):
        fastnorm.batch_norm(x, mean, var, training=True, momentum=1 / (t + 1))
    assert_allclose(mean, np.mean([x.mean((0, 2)) for x in batches()], axis=0), rtol=1e-14)
    assert_allclose(var, 15 / 14 * np.mean([x.var((0, 2)) for x in batches()], axis=0), rtol=1e-14)


def test_running_arrays_of_instance_norm():
    mean, var = np.full(4, 10.0), np.full(4, 20.0)
    x = batches()[2]
    y = fastnorm.instance_norm(x, mean, var, momentum=0.25)
    assert_array_equal(y, fastnorm.instance_norm(x))
    assert_allclose(mean, 7.5 + 0.25 * x.mean(2).mean(0), rtol=1e-14)
    assert_allclose(var, 15 + 0.25 * x.var(2, ddof=1).mean(0), rtol=1e-14)


@pytest.mark.parametrize("name", RUNNING)
def test_momentum_of_0_and_1_leave_out_what_has_no_share(name):
    x = batches()[0]
    unset = np.full((2, 4), np.nan)
    call(name, x, running_mean=unset[0], running_var=unset[1], momentum=1)
    known = np.zeros((2, 4))
    call(name, x, running_mean=known[0], running_var=known[1], momentum=1)
    assert_array_equal(unset, known)
    x[0, 0, 0] = np.nan
    call(name, x, running_mean=unset[0], running_var=unset[1], momentum=0)
    assert_array_equal(unset, known)


@pytest.mark.parametrize("name", RUNNING)
def test_running_arrays_interleaved_in_one_array(name):
    apart, one = running_arrays(), np.stack(list(running_arrays().values()), axis=1)
    call(name, **apart)
    call(name, running_mean=one[:, 0], running_var=one[:, 1])
    assert_array_equal(one.T, list(apart.values()))


@pytest.mark.parametrize(("name", "option"), [("batch_norm", "training"), ("instance_norm", "use_input_stats")])
def test_running_arrays_are_only_read_where_they_are_used(name, option):
    arrays = {key: LAYOUTS["read-only"](value) for key, value in running_arrays().items()}
    y, mean, rstd = call(name, X, **arrays, **{option: False}, return_stats=True)
    running_mean, running_var = (one.astype(float) for one in arrays.values())
    expected = (X - running_mean[:, None]) / np.sqrt(running_var + 1e-5)[:, None]
    assert_allclose(y, expected, rtol=1e-5, atol=4e-6)
    assert mean.shape == rstd.shape == ((4,) if name == "batch_norm" else (2, 4))
    assert_array_equal(mean, np.broadcast_to(running_mean, mean.shape))
    assert_array_equal(rstd, np.broadcast_to(1 / np.sqrt(running_var + 1e-5), rstd.shape))
    mean[...] = 0
    assert running_mean.any()


@pytest.mark.parametrize(("name", "option"), [("batch_norm", "training"), ("instance_norm", "use_input_stats")])
def test_running_arrays_may_overlap_what_is_only_read(name, option):
    memory = np.arange(1.0, 25).reshape(2, 4, 3)
    for mean, var in [(memory[0, :, 0], memory[0, :, 0]), (memory[0, :, 0], memory[1, :, 2]), (X[0, :, 0], X[0, :, 0])]:
        x = memory if mean.base is memory.base else np.abs(X)
        expected = call(name, x, running_mean=mean.copy(), running_var=var.copy(), **{option: False})
        assert_array_equal(call(name, x, running_mean=mean, running_var=var, **{option: False}), expected)
    one = np.ones(4, "f4")
    message = "^running_mean overlaps running_var in memory, expected arrays apart$"
    refuse(name, ValueError, message, running_mean=one, running_var=one, **{option: True})
    both = {"running_mean": memory[0, :, 0], "running_var": np.ones(4)}
    message = "^running_mean overlaps out in memory, expected arrays apart$"
    refuse(name, ValueError, message, x=memory, out=memory, **both, **{option: False})


@pytest.mark.parametrize("name", RUNNING)
def test_running_arrays_keep_their_values_when_the_kernel_fails(name, monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError("no memory")

    monkeypatch.setattr("fastnorm.channels.solve", fail)
    refuse(name, MemoryError, "^no memory$")


class Sub(np.ndarray):
    """A subclass that adds nothing."""


@pytest.mark.parametrize("name", RUNNING)
def test_statistics_are_plain_arrays(name):
    """Of running arrays of a subclass, too, which stay what they are."""
    option = {"batch_norm": "training", "instance_norm": "use_input_stats"}[name]
    for moves in (False, True):
        running = {key: one.view(Sub) for key, one in running_arrays().items()}
        found = call(name, return_stats=True, **running, **{option: moves})
        assert [type(one) for one in found] == [np.ndarray] * 3
        assert [type(one) for one in running.values()] == [Sub] * 2
