"""Folding against PyTorch: every kind of layer with its norm after it, and the one that both become."""

import numpy as np
import pytest
from arrays import normal
from fusion import GIVEN, allowed, magnitude, norm_of, wide

import fastnorm
from fastnorm._bench.agreement import UNIT_ROUNDOFF, distance

torch = pytest.importorskip("torch")
functional = torch.nn.functional
fusion = pytest.importorskip("torch.nn.utils.fusion")


@pytest.fixture(autouse=True, scope="module")
def one_thread(own_threads):
    """These layers are so small that handing them to a team takes most of the time."""
    torch.set_num_threads(1)


def tensor(value):
    """A float64 tensor, or None."""
    return None if value is None else torch.from_numpy(wide(value))


def batch_norm(y, norm):
    running = tensor(norm["running_mean"]), tensor(norm["running_var"])
    return functional.batch_norm(y, *running, tensor(norm.get("bn_weight")), tensor(norm.get("bn_bias")))


def assert_fused(layer, x, weight, norm, fused, n):
    """A layer of the fused parameters is the layer and the norm, in float64."""
    assert fused[0].dtype == fused[1].dtype == weight.dtype
    y = layer(tensor(x), *map(tensor, fused)).numpy()
    expected = batch_norm(layer(tensor(x), tensor(weight), tensor(norm["bias"])), norm).numpy()
    products = layer(tensor(np.abs(x)), tensor(np.abs(wide(weight)))).numpy()
    assert distance(y, expected, allowed(products, norm, n, weight.dtype.name)) <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions(transposed, dimensions, groups, dtype):
    """With padding, stride and dilation; 12 channels in, 8 out."""
    x = normal((2, 12, 7, 6, 5)[: 2 + dimensions], "float64", offset=0.5)
    kernel = (3, 2, 3)[:dimensions]
    lengths = (12, 8 // groups) if transposed else (8, 12 // groups)
    weight = normal((*lengths, *kernel), dtype, seed=8)
    function = getattr(functional, f"conv_transpose{dimensions}d" if transposed else f"conv{dimensions}d")

    def layer(x, weight, bias=None):
        return function(x, weight, bias, stride=2, padding=1, dilation=2, groups=groups)

    for names in GIVEN:
        norm = norm_of(8, names)
        fused = fastnorm.fuse_conv_batch_norm(weight, **norm, transposed=transposed, groups=groups)
        assert_fused(layer, x, weight, norm, fused, 12 // groups * np.prod(kernel))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("names", GIVEN)
def test_linear(names, dtype):
    x, weight, norm = normal((20, 9), "float64"), normal((5, 9), dtype), norm_of(5, names)
    assert_fused(functional.linear, x, weight, norm, fastnorm.fuse_linear_batch_norm(weight, **norm), 9)


@pytest.mark.parametrize("transposed", [False, True])
def test_convolution_of_pytorch_s_own(transposed):
    """Arguments as the docstring maps them; float32 here, rounded a few times there."""
    weight, norm = normal((4, 6, 3, 3)), norm_of(6 if transposed else 4)
    order = ("running_mean", "running_var", "eps", "bn_weight", "bn_bias")
    theirs = {name: torch.from_numpy(value) for name, value in norm.items()} | {"eps": 1e-5}
    arguments = [torch.from_numpy(weight), theirs["bias"], *(theirs[name] for name in order)]
    expected = fusion.fuse_conv_bn_weights(*arguments, transpose=transposed)
    u = 8 * UNIT_ROUNDOFF["float32"]
    weight, bias = fastnorm.fuse_conv_batch_norm(weight, **norm, transposed=transposed)
    np.testing.assert_allclose(weight, expected[0].detach().numpy(), rtol=u, atol=0)
    assert (np.abs(bias - expected[1].detach().numpy()) <= u * magnitude(np.zeros((1, len(bias))), norm)[0]).all()


@pytest.mark.parametrize("bias", [False, True])
def test_linear_of_pytorch_s_own(bias):
    weight, norm = normal((4, 6)), norm_of(4, ("bias", "bn_weight", "bn_bias") if bias else ("bn_weight", "bn_bias"))
    order = ("bias", "running_mean", "running_var", "eps", "bn_weight", "bn_bias")
    theirs = {name: None if value is None else torch.from_numpy(value) for name, value in norm.items()} | {"eps": 1e-5}
    expected = fusion.fuse_linear_bn_weights(torch.from_numpy(weight), *(theirs[name] for name in order))
    u = 8 * UNIT_ROUNDOFF["float32"]
    weight, bias = fastnorm.fuse_linear_batch_norm(weight, **norm)
    np.testing.assert_allclose(weight, expected[0].detach().numpy(), rtol=u, atol=0)
    assert (np.abs(bias - expected[1].detach().numpy()) <= u * magnitude(np.zeros((1, len(bias))), norm)[0]).all()
