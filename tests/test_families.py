"""The norms of feature maps and data sets: every dtype and layout against the reference, to the derived tolerance."""

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, OTHER_ORDER, dtype_of, normal, swapped
from families import FUNCTIONS, KINDS, PARAMETERS, Problem, copied, make

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import SMALLEST_SUBNORMAL, UNIT_ROUNDOFF, roundings

# Feature maps in both channel orders, planes of odd sizes, images of three and of one channel, one sample, sequences,
# tables and volumes: (shape, channel axis).
SHAPES = {
    "NCHW": ((2, 6, 5, 4), 1),
    "NHWC": ((2, 5, 4, 6), -1),
    "7x7 planes": ((3, 8, 7, 7), 1),
    "RGB": ((2, 3, 9, 8), 1),
    "RGB last": ((2, 9, 8, 3), -1),
    "one channel": ((3, 1, 6, 5), 1),
    "one channel last": ((3, 6, 5, 1), -1),
    "one sample": ((1, 12, 3, 5), 1),
    "one sample last": ((1, 3, 5, 12), -1),
    "1x1 planes": ((4, 6, 1, 1), 1),
    "NC": ((9, 12), 1),
    "NCL": ((3, 4, 33), 1),
    "NLC": ((3, 11, 16), -1),
    "NCDHW": ((2, 4, 3, 2, 5), 1),
    "NDHWC": ((2, 3, 2, 5, 4), -1),
    "channels in the middle": ((2, 3, 8, 5), 2),
}
NEW, IN_PLACE = "new", "in place"
OUTS = [NEW, IN_PLACE, "contiguous", "every second", "crop", "Fortran", "axis 1 innermost"]
# Around a vector, the lanes, a fixed block of rows and a leaf.
SIZES = [1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049]


def results(problem, layouts=LAYOUTS, outs=OUTS):
    """What a call gives for each layout of x and each place of the result, with a name for both."""
    for layout in layouts:
        for out_layout in outs:
            x = LAYOUTS[layout](problem.x)
            if out_layout == NEW:
                y = problem.call(x)
                assert y.strides == np.empty_like(x).strides, layout
            elif out_layout == IN_PLACE:
                if layout == "read-only":
                    continue
                y = problem.call(x, out=x)
                assert y is x
            else:
                out = LAYOUTS[out_layout](np.zeros_like(problem.x))
                y = problem.call(x, out=out)
                assert y is out
            yield f"x {layout}, out {out_layout}", y


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_layouts(kind, shape, dtype):
    shape, channel_axis = SHAPES[shape]
    problem = make(kind, shape, dtype, channel_axis=channel_axis, names=("weight", "bias"))
    for name, y in results(problem):
        assert y.dtype == problem.x.dtype
        assert problem.error(y) <= 1, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", PARAMETERS.values(), ids=PARAMETERS.keys())
@pytest.mark.parametrize("kind", ["batch", "batch eval", "instance", "instance eval", "group"])
def test_parameters(kind, names, dtype):
    for shape, channel_axis in SHAPES.values():
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=names)
        assert problem.error(problem.call()) <= 1, shape


@pytest.mark.parametrize("kind", ["batch", "batch eval", "instance", "instance eval", "group"])
def test_parameters_of_full_rank(kind):
    for shape in [(1, 6, 1, 1), (2, 6, 1, 1), (1, 6, 5, 1), (2, 6, 5, 4), (1, 1, 5, 4), (2, 1, 1, 1), (1, 1, 1, 1)]:
        problem = make(kind, (2, 6, 5, 4))
        problem.options |= {"weight": normal(shape, seed=1), "bias": normal(shape, "float64", seed=2)}
        for layout in ("contiguous", "axis 1 innermost", "crop"):
            assert problem.error(problem.call(LAYOUTS[layout](problem.x))) <= 1, (shape, layout)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", PARAMETERS.values(), ids=PARAMETERS.keys())
@pytest.mark.parametrize("kind", ["instance", "instance eval"])
def test_parameters_of_each_sample(kind, names, dtype):
    for shape, channel_axis in SHAPES.values():
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=names, per_sample=True)
        for layout in ("contiguous", "axis 1 innermost", "crop"):
            assert problem.error(problem.call(LAYOUTS[layout](problem.x))) <= 1, (shape, layout)


@pytest.mark.parametrize("result", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_result_dtypes(kind, dtype, result):
    for shape, channel_axis in SHAPES.values():
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=("weight", "bias"))
        y = problem.call(dtype=dtype_of(result))
        assert y.dtype == dtype_of(result)
        assert problem.error(y) <= 1, shape
        out = np.zeros_like(problem.x, dtype=dtype_of(result))
        assert problem.call(out=out) is out
        assert np.array_equal(out, y), shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_sizes(kind, size, dtype):
    """Statistics down the rows of tables and along the ends of planes, at few channels and at about a vector."""
    cases = [((2, 3, size), 1), ((2, size, 3), -1), ((2, size, 17), -1), ((2, 64, size), 1)]
    if size > 1 or kind != "batch":
        cases += [((size, 3), 1), ((size, 17), 1), ((size, 1), 1)]
    for shape, channel_axis in cases:
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=("weight", "bias"))
        assert problem.error(problem.call()) <= 1, shape


@pytest.mark.parametrize("style_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("style", [(3, 6, 4, 9), (1, 6, 4, 9), (3, 6, 11), (1, 6, 2, 3, 4), (3, 6, 1)])
def test_styles(style, dtype, style_dtype):
    """One style for all samples or one for each, of any size, rank, dtype and memory."""
    problem = make("adaptive", (3, 6, 5, 4), dtype)
    for channel_axis in (1, -1):
        values = normal(style, style_dtype, offset=2.0, seed=5)
        values = values if channel_axis == 1 else np.moveaxis(values, 1, -1)
        x = problem.x if channel_axis == 1 else np.moveaxis(problem.x, 1, -1)
        for layout in ("contiguous", "axis 1 innermost", "crop"):
            styled = Problem("adaptive", x, {"style": LAYOUTS[layout](values)}, channel_axis)
            y = styled.call()
            assert y.dtype == x.dtype
            assert styled.error(y) <= 1, (channel_axis, layout)


@pytest.mark.parametrize("num_groups", [1, 2, 3, 4, 6, 8, 12, 24])
@pytest.mark.parametrize("dtype", DTYPES)
def test_groups(dtype, num_groups):
    for shape, channel_axis in [((2, 24, 7, 7), 1), ((2, 7, 7, 24), -1), ((5, 24), 1), ((1, 130, 24), -1)]:
        problem = make("group", shape, dtype, channel_axis=channel_axis, names=("weight", "bias"))
        problem.num_groups = problem.options["num_groups"] = num_groups
        for layout in LAYOUTS:
            assert problem.error(problem.call(LAYOUTS[layout](problem.x))) <= 1, (shape, layout)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (0, 2), (2, 1), (0, 1, 2)])
@pytest.mark.parametrize("ddof", [0, 1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_standardize_axes(dtype, ddof, axis):
    for shape in [(5, 6, 7), (40, 4, 33)]:
        problem = Problem("standardize", normal(shape, dtype, offset=5.0, scale=0.5), {"axis": axis, "ddof": ddof})
        for name, y in results(problem, outs=[NEW, IN_PLACE, "crop"]):
            assert problem.error(y) <= 1, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_statistics(kind, dtype):
    for shape, channel_axis in SHAPES.values():
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=("weight", "bias"))
        u = roundings(problem.length) * UNIT_ROUNDOFF["float64" if dtype == "float64" else "float32"]
        _, mean, rstd = problem.expected
        for layout in ("contiguous", "axis 1 innermost", "Fortran", "crop"):
            y, got_mean, got_rstd = problem.call(LAYOUTS[layout](problem.x), return_stats=True)
            assert problem.error(y) <= 1, (shape, layout)
            assert got_mean.dtype == got_rstd.dtype == np.float64
            # The error of a mean is relative to the spread of its data, that of the spread to itself.
            spread = np.divide(1, rstd, out=np.zeros_like(rstd), where=rstd > 0) * np.sqrt(problem.length)
            assert (np.abs(got_mean - mean) <= u * spread + 4 * UNIT_ROUNDOFF["float64"] * np.abs(mean)).all(), shape
            np.testing.assert_allclose(got_rstd, rstd, rtol=u)


@pytest.mark.parametrize("running", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["batch", "instance"])
def test_running_statistics(kind, dtype, running):
    """They move by momentum, are rounded once to their own dtype, and leave the result as it was."""
    for shape, channel_axis in SHAPES.values():
        if kind == "instance" and np.prod(shape) == shape[0] * shape[channel_axis]:
            continue  # one element each: the unbiased variance does not exist
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=("weight", "bias"))
        before = np.abs(normal((2, shape[channel_axis]), running, offset=2.0))
        for momentum, ddof in [(0.1, 1), (0.25, 0), (1.0, 1), (0.0, 1)]:
            options = {"momentum": momentum} | ({"running_ddof": ddof} if kind == "batch" else {})
            strided = np.zeros((*before.shape, 2), before.dtype)
            got, expected, strided[..., 0] = before.copy(), before.astype(np.float64), before
            for mean, var in (got, strided[..., 0]):
                y = problem.call(running_mean=mean, running_var=var, **options)
                assert problem.error(y) <= 1, shape
            problem.reference(running_mean=expected[0], running_var=expected[1], **options)
            assert np.array_equal(got, strided[..., 0])
            assert not strided[..., 1].any()
            k = roundings(problem.length) * UNIT_ROUNDOFF["float64" if dtype == "float64" else "float32"]
            spread = np.ptp(problem.x.astype(np.float64))
            allowed = UNIT_ROUNDOFF[running] * np.abs(expected) + SMALLEST_SUBNORMAL[running]
            allowed += 4 * UNIT_ROUNDOFF["float64"] * np.abs(expected) + momentum * k * np.array(
                [[spread], [spread**2]]
            )
            assert (np.abs(got.astype(np.float64) - expected) <= allowed).all(), (shape, momentum)


@pytest.mark.parametrize("kind", KINDS)
def test_large_means(kind):
    """The tolerance does not grow with the mean."""
    for shape, channel_axis in SHAPES.values():
        problem = make(kind, shape, channel_axis=channel_axis, names=("weight", "bias"))
        problem.x = problem.x + np.float32(1e6)
        if "running_mean" in problem.options:
            problem.options["running_mean"] += np.float32(1e6)
        assert problem.error(problem.call()) <= 1, shape


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_byte_order_and_integers(kind):
    for shape, channel_axis in SHAPES.values():
        problem = make(kind, shape, channel_axis=channel_axis)
        y = problem.call(swapped(problem.x))
        assert y.dtype.isnative
        assert problem.error(y) <= 1, shape
        whole = Problem(kind, np.rint(problem.x * 10), problem.options, channel_axis, problem.num_groups)
        y = whole.call(whole.x.astype(np.int16))
        assert y.dtype == np.float64
        whole.x = whole.x.astype(np.float64)
        assert whole.error(y) <= 1, shape


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (1, 2), (2, 0, 1)])
@pytest.mark.parametrize("dtype", [*DTYPES, "int16", "bool"])
def test_moments(dtype, axis):
    """Summed in float64 whatever the dtype: a few of its roundings for each element, whatever the mean."""
    for shape in [(3, 4, 5), (70, 3, 40), (1, 1, 1)]:
        values = normal(shape, offset=100.0, scale=3.0).astype(dtype_of(dtype))
        expected = reference.moments(values, axis=axis)
        spread = np.ptp(values.astype(np.float64))
        u = expected.count * UNIT_ROUNDOFF["float64"]
        for layout in LAYOUTS:
            got = fastnorm.moments(LAYOUTS[layout](values), axis=axis)
            assert type(got.count) is int
            assert got.count == expected.count
            assert np.shape(got.mean) == np.shape(got.m2) == np.shape(expected.mean)
            assert got.mean.dtype == got.m2.dtype == np.float64
            np.testing.assert_allclose(got.mean, expected.mean, rtol=2 * UNIT_ROUNDOFF["float64"], atol=u * spread)
            np.testing.assert_allclose(got.m2, expected.m2, rtol=2 * u, atol=u * spread**2)


WRONG = {
    "batch": {
        "unbiased variance": lambda p, y: y * np.sqrt((p.length - 1) / p.length),
        "no eps": lambda p, y: p.reference(eps=0.0),
        "eps outside the root": lambda p, y: (
            (p.x - p.expected[1].reshape(1, -1, 1, 1)) / (p.x.std(axis=(0, 2, 3), keepdims=True) + 1e-5)
        ),
        "statistics of each sample": lambda p, y: reference.instance_norm(p.x),
    },
    "batch eval": {"statistics of x": lambda p, y: reference.batch_norm(p.x, training=True)},
    "instance": {
        "statistics of the batch": lambda p, y: reference.batch_norm(p.x, training=True),
        "statistics of the sample": lambda p, y: reference.group_norm(p.x, 1),
        "samples swapped": lambda p, y: y[::-1],
    },
    "conditional": {"one label for all": lambda p, y: p.reference(labels=np.zeros(len(p.x), int))},
    "adaptive": {
        "unbiased deviation of the style": lambda p, y: (
            p.expected[0] + (y - p.options["style"].mean((2, 3), keepdims=True)) * 0.5 / p.options["style"][0, 0].size
        ),
        "no eps in the style": lambda p, y: reference.instance_norm(
            p.x,
            weight=p.options["style"].astype(float).std((2, 3)),
            bias=p.options["style"].astype(float).mean((2, 3)),
        ),
    },
    "group": {
        "interleaved groups": lambda p, y: reference.group_norm(
            p.x.reshape(2, 3, 2, 5, 4).swapaxes(1, 2).reshape(2, 6, 5, 4), 2
        ),
        "one channel in a wrong group": lambda p, y: np.roll(reference.group_norm(np.roll(p.x, 1, 1), 3), -1, 1),
        "two groups": lambda p, y: reference.group_norm(p.x, 2),
    },
    "standardize": {
        "ddof 1": lambda p, y: p.reference(ddof=1),
        "with eps": lambda p, y: reference.layer_norm(p.x, axis=0),
        "the other axis": lambda p, y: p.reference(axis=1),
    },
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_kernel_would_fail(kind):
    """The check itself: the rounded reference passes, errors of the size that a wrong kernel makes do not."""
    problem = make(kind, (2, 6, 5, 4))
    right = problem.reference().astype(np.float32)
    assert problem.error(right) <= 1
    for name, wrong in WRONG[kind].items():
        y = np.asarray(wrong(problem, right), np.float32)
        assert y.shape == right.shape, name
        assert problem.error(y) > 1, name


def test_every_kind_has_a_function():
    assert set(KINDS) == set(FUNCTIONS)
    options = {"running_mean": np.zeros(2)}
    assert copied(options)["running_mean"] is not options["running_mean"]
    assert set(OTHER_ORDER) <= set(LAYOUTS)
