"""Against PyTorch, which shares no line with fastnorm or its reference."""

import numpy as np
import pytest
from arrays import normal

import fastnorm

torch = pytest.importorskip("torch")
functional = torch.nn.functional

SHAPES = [(1, 5), (16, 768), (2, 197, 384), (3, 4, 5, 6)]


def bound(dtype):
    """A few roundings of float32 or float64 on results of about 1, or one of float16."""
    return {"float16": 2.0**-9, "float32": 2.0**-20, "float64": 2.0**-49}[dtype]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("affine", ["none", "weight", "both"])
def test_layer_norm(affine, axes, shape, dtype):
    x = normal(shape, dtype, offset=0.5)
    normalized = shape[-axes:]
    weight = None if affine == "none" else normal(normalized, dtype, seed=1)
    bias = normal(normalized, dtype, seed=2) if affine == "both" else None
    given = [None if one is None else torch.from_numpy(one) for one in (weight, bias)]
    expected = functional.layer_norm(torch.from_numpy(x), normalized, *given, eps=1e-3).numpy()
    y = fastnorm.layer_norm(x, weight, bias, axis=tuple(range(-axes, 0)), eps=1e-3)
    np.testing.assert_allclose(y, expected, rtol=bound(dtype), atol=4 * bound(dtype))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rms_norm(shape, dtype):
    x, weight = normal(shape, dtype, offset=0.5), normal(shape[-1:], dtype, seed=1)
    expected = functional.rms_norm(torch.from_numpy(x), shape[-1:], torch.from_numpy(weight), eps=1e-6).numpy()
    np.testing.assert_allclose(fastnorm.rms_norm(x, weight), expected, rtol=2 * bound(dtype), atol=4 * bound(dtype))


def test_statistics():
    x = normal((7, 333), offset=2.0)
    _, mean, rstd = torch.native_layer_norm(torch.from_numpy(x), (333,), None, None, 1e-5)
    _, got_mean, got_rstd = fastnorm.layer_norm(x, return_stats=True)
    np.testing.assert_allclose(got_mean, mean.numpy(), rtol=2.0**-20)
    np.testing.assert_allclose(got_rstd, rstd.numpy(), rtol=2.0**-20)


def test_channels_first():
    """The form of ConvNeXt: permute, norm, permute back."""
    x, weight, bias = normal((2, 48, 7, 9)), normal(48, seed=1), normal(48, seed=2)
    last = torch.from_numpy(x).permute(0, 2, 3, 1)
    expected = functional.layer_norm(last, (48,), torch.from_numpy(weight), torch.from_numpy(bias)).permute(0, 3, 1, 2)
    y = fastnorm.layer_norm(x, weight, bias, axis=1)
    np.testing.assert_allclose(y, expected.numpy(), rtol=bound("float32"), atol=4 * bound("float32"))


def test_bias_free_of_restormer():
    x, weight = normal((3, 10, 48), offset=1.0), normal(48, seed=1)
    t = torch.from_numpy(x)
    expected = t / torch.sqrt(t.var(-1, keepdim=True, unbiased=False) + 1e-5) * torch.from_numpy(weight)
    y = fastnorm.layer_norm(x, weight, center=False)
    np.testing.assert_allclose(y, expected.numpy(), rtol=2 * bound("float32"), atol=4 * bound("float32"))
