"""Against PyTorch, which shares no line with fastnorm or its reference."""

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, normal
from families import PARAMETERS, Problem, make

import fastnorm
from fastnorm._bench.agreement import UNIT_ROUNDOFF, distance, roundings

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


# Tables, sequences, images and volumes; wide enough for every way PyTorch has of summing.
MAPS = [(16, 6), (4, 6, 50), (3, 6, 17, 13), (2, 6, 5, 6, 7), (2, 6, 64, 64)]


def tensor(array):
    """The same values; NumPy's bfloat16 is known to PyTorch by its bits alone."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def array(tensor, dtype):
    """The way back."""
    return (tensor.view(torch.int16) if dtype.name == "bfloat16" else tensor).numpy().view(dtype)


def maker(kind, shape, dtype, names):
    """A problem whose parameters are float32 if x has 16 bits: PyTorch then keeps its statistics in float32, too."""
    problem = make(kind, shape, dtype, names=names)
    wide = np.float64 if dtype == "float64" else np.float32
    problem.options |= {
        name: value.astype(wide) for name, value in problem.options.items() if isinstance(value, np.ndarray)
    }
    return problem


def of_torch(problem, layout, function, *arguments, **options):
    """What PyTorch makes of a problem's x in C or channels-last memory."""
    x = tensor(problem.x)
    if layout == "channels-last":
        x = x.contiguous(memory_format={4: torch.channels_last, 5: torch.channels_last_3d}[x.ndim])
    given = {name: value for name, value in problem.options.items() if isinstance(value, np.ndarray)}
    if problem.x.itemsize == 2:
        given = {"weight": np.ones(problem.x.shape[1], np.float32)} | given
    given = {name: torch.from_numpy(value) for name, value in given.items()}
    return array(function(x, *arguments, **given, **options), problem.x.dtype)


def assert_agree(problem, layout, expected):
    """fastnorm and PyTorch differ by no more than what both may round."""
    x = LAYOUTS["axis 1 innermost"](problem.x) if layout == "channels-last" else problem.x
    y = problem.call(x)
    allowed = problem.allowed(problem.x.dtype.name) + problem.allowed_folded(problem.x.dtype.name)
    assert y.dtype == expected.dtype
    assert distance(y, expected.astype(np.float64), allowed) <= 1


def maps(shapes=MAPS):
    """The shapes, and those of images and volumes in channels-last memory, too."""
    return [(shape, layout) for shape in shapes for layout in ("contiguous", "channels-last")[: 1 + (len(shape) > 3)]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "layout"), maps())
@pytest.mark.parametrize("names", PARAMETERS.values(), ids=PARAMETERS.keys())
def test_batch_norm(names, shape, layout, dtype):
    problem = maker("batch", shape, dtype, names)
    none = {"running_mean": None, "running_var": None}
    assert_agree(problem, layout, of_torch(problem, layout, functional.batch_norm, **none, training=True))
    problem = maker("batch eval", shape, dtype, names)
    problem.options["eps"] = 1e-3
    assert_agree(problem, layout, of_torch(problem, layout, functional.batch_norm, eps=1e-3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "layout"), maps(MAPS[1:]))
@pytest.mark.parametrize("names", PARAMETERS.values(), ids=PARAMETERS.keys())
def test_instance_norm(names, shape, layout, dtype):
    problem = maker("instance", shape, dtype, names)
    assert_agree(problem, layout, of_torch(problem, layout, functional.instance_norm))
    problem = maker("instance eval", shape, dtype, names)
    assert_agree(problem, layout, of_torch(problem, layout, functional.instance_norm, use_input_stats=False))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "layout"), maps())
@pytest.mark.parametrize("num_groups", [1, 2, 3, 6])
def test_group_norm(num_groups, shape, layout, dtype):
    for names in PARAMETERS.values():
        problem = maker("group", shape, dtype, names)
        problem.num_groups = problem.options["num_groups"] = num_groups
        assert_agree(problem, layout, of_torch(problem, layout, functional.group_norm, num_groups))


@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", MAPS)
def test_running_statistics(shape, dtype, momentum):
    """Three batches, one after the other: the errors of each are carried on."""
    for kind, function in [("batch", functional.batch_norm), ("instance", functional.instance_norm)]:
        if kind == "instance" and len(shape) == 2:
            continue  # one element for each statistic: no unbiased variance
        got = [np.zeros(shape[1], dtype), np.ones(shape[1], dtype)]
        theirs = [torch.from_numpy(one.copy()) for one in got]
        options = {"momentum": momentum} | ({"training": True} if kind == "batch" else {})
        for seed in range(3):
            problem = make(kind, shape, dtype, seed=seed)
            function(torch.from_numpy(problem.x), *theirs, **options)
            problem.call(running_mean=got[0], running_var=got[1], **options)
        u = UNIT_ROUNDOFF[dtype]
        for one, their, scale in zip(got, theirs, (4, 16), strict=True):
            # x is 1 + 2 N(0, 1): scale is its magnitude, and the square of that.
            bound = 3 * 2 * (roundings(problem.length) + 2) * u * scale
            np.testing.assert_allclose(one, their.numpy(), rtol=0, atol=bound)


def test_running_statistics_of_modules():
    """As the modules carry them through training and into evaluation."""
    module = torch.nn.BatchNorm2d(6, momentum=None)
    mean, var = np.zeros(6, np.float32), np.ones(6, np.float32)
    for t in range(5):
        x = normal((4, 6, 8, 8), offset=t, seed=t)
        module(torch.from_numpy(x))
        fastnorm.batch_norm(x, mean, var, training=True, momentum=1 / (t + 1))
    # Each of the five rounds what is at most about 4, twice here and thrice there.
    np.testing.assert_allclose(mean, module.running_mean.numpy(), rtol=0, atol=25 * 4 * 2.0**-24)
    np.testing.assert_allclose(var, module.running_var.numpy(), rtol=0, atol=25 * 4 * 2.0**-24)
    module.eval()
    expected = module(torch.from_numpy(x)).detach().numpy()
    y = fastnorm.batch_norm(x, module.running_mean.numpy(), module.running_var.numpy())
    np.testing.assert_allclose(y, expected, rtol=bound("float32"), atol=4 * bound("float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 48, 7, 9), (3, 6, 40), (2, 5, 3, 4, 6)])
def test_channels_first_of_any_rank(shape, dtype):
    x, weight, bias = normal(shape, dtype, offset=0.5), normal(shape[1], dtype, seed=1), normal(shape[1], dtype, seed=2)
    last = torch.from_numpy(x).movedim(1, -1)
    expected = functional.layer_norm(last, shape[1:2], torch.from_numpy(weight), torch.from_numpy(bias)).movedim(-1, 1)
    for layout in ("contiguous", "axis 1 innermost"):
        y = fastnorm.layer_norm(LAYOUTS[layout](x), weight, bias, axis=1)
        np.testing.assert_allclose(y, expected.numpy(), rtol=bound(dtype), atol=4 * bound(dtype))


def test_adaptive_instance_norm():
    """The form of its ports to PyTorch, with the population variance of the paper."""
    content, style = normal((2, 6, 8, 9), offset=1.0), normal((2, 6, 5, 4), offset=-1.0, scale=3.0, seed=1)
    c, s = torch.from_numpy(content).double(), torch.from_numpy(style).double()

    def moments(t):
        return t.mean((2, 3), keepdim=True), (t.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()

    (mean, std), (style_mean, style_std) = moments(c), moments(s)
    expected = (style_std * (c - mean) / std + style_mean).numpy()
    problem = Problem("adaptive", content, {"style": style})
    assert distance(problem.call(), expected, problem.allowed("float32")) <= 1
