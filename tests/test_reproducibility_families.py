"""The same bits for every norm: whatever else is in the batch, where memory begins, how it is strided, who else calls.

The words of a problem follow from x's memory order alone and the order of its sums from the words, so everything that
lies in the same order must give the same bits: slices, crops, steps back, unaligned and foreign data are judged by
their dense copy `x.copy(order="K")`. Threads have a file of their own.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from arrays import DTYPES, SAME_ORDER, dtype_of, normal, swapped
from calls import NO_OUT, PER_SAMPLE, bits, functions
from families import make

import fastnorm

# Feature maps in both channel orders, images of three channels, short planes, tables, sequences and volumes.
SHAPES = {
    "NCHW": ((3, 8, 12, 9), 1),
    "NHWC": ((3, 12, 9, 8), -1),
    "wide NHWC": ((2, 5, 4, 530), -1),
    "7x7 planes": ((5, 6, 7, 7), 1),
    "3x3 planes": ((5, 6, 3, 3), 1),
    "RGB": ((2, 3, 20, 15), 1),
    "RGB last": ((2, 20, 15, 3), -1),
    "one channel": ((3, 1, 12, 9), 1),
    "NC": ((40, 21), 1),
    "NLC": ((3, 35, 24), -1),
    "NDHWC": ((2, 3, 4, 5, 12), -1),
    "NCDHW": ((2, 4, 3, 4, 5), 1),
}
OWN_PARAMETERS = ["batch eval", "instance", "instance eval", "conditional", "adaptive", "group"]


def in_order(values, order):
    """The same values, with their axes in this order in memory."""
    return values.transpose(order).copy().transpose(np.argsort(order))


def orders(rank):
    """C, Fortran, channels last or second, and samples innermost."""
    axes = list(range(rank))
    return {tuple(axes), tuple(axes[::-1]), (0, *axes[2:], 1), (0, rank - 1, *axes[1:-1]), (*axes[1:], 0)}


def crop(values):
    """With a margin along all axes in memory but the first two."""
    cut = tuple(slice(1, -1) if axis > 1 else slice(None) for axis in range(values.ndim))
    big = np.zeros([n + 2 if axis > 1 else n for axis, n in enumerate(values.shape)], values.dtype)
    big[cut] = values
    return big[cut]


VIEWS = SAME_ORDER | {"byte-swapped": swapped, "spatial crop": crop}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_strides_of_the_same_order(shape, dtype):
    """Every view of x, against the dense copy: float32 in every order of memory, the others channels last."""
    shape, channel_axis = SHAPES[shape]
    values, calls = functions(shape, dtype, channel_axis)
    chosen = orders(values.ndim) if dtype == "float32" else [(0, *range(2, values.ndim), 1)]
    for order in chosen:
        expected = {name: bits(call, in_order(values, order)) for name, call in calls.items()}
        for view, make_view in VIEWS.items():
            if view == "byte-swapped" and dtype == "bfloat16":
                continue  # ml_dtypes has no foreign byte order
            x = make_view(values.transpose(order).copy()).transpose(np.argsort(order))
            for name, call in calls.items():
                assert bits(call, x) == expected[name], (name, order, view)


@pytest.mark.parametrize("shape", SHAPES)
def test_crops_of_feature_maps(shape):
    """x[..., 1:-1, 1:-1] of a larger map, in each channel order and in Fortran's."""
    shape, channel_axis = SHAPES[shape]
    values, calls = functions(shape, "float32", channel_axis)
    cut = tuple(
        slice(1, -1) if axis not in (0, channel_axis % len(shape)) else slice(None) for axis in range(len(shape))
    )
    for order in orders(values.ndim):
        big = in_order(
            np.zeros([n + 2 if one != slice(None) else n for n, one in zip(shape, cut, strict=True)], "f4"), order
        )
        x = big[cut]
        x[...] = values
        for name, call in calls.items():
            assert bits(call, x) == bits(call, x.copy(order="K")), (name, order)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_places_of_the_result(shape, dtype):
    """New, in place, out in every memory order, with gaps, and in memory that x partly covers."""
    shape, channel_axis = SHAPES[shape]
    values, calls = functions(shape, dtype, channel_axis)
    for name, call in calls.items():
        if name.startswith(NO_OUT):
            continue
        for order in [tuple(range(values.ndim)), (0, *range(2, values.ndim), 1)]:
            x = in_order(values, order)
            expected, *others = call(x, return_stats=True)
            others = [one.tobytes() for one in others]
            assert call(x).tobytes() == expected.tobytes(), name
            outs = [in_order(np.zeros_like(values), one) for one in orders(values.ndim)]
            outs += [make_view(np.zeros_like(values)) for view, make_view in VIEWS.items() if view != "read-only"]
            memory = np.zeros(values.size + 5, values.dtype)
            start = memory[5:].reshape(shape)
            start[...] = values
            for source, out in [(x, one) for one in outs] + [(x, x), (start, memory[:-5].reshape(shape))]:
                y, *got = call(source, out=out, return_stats=True)
                assert y is out
                if source is start and order != tuple(range(values.ndim)):
                    continue  # another memory order than the one expected
                assert y.astype(x.dtype).tobytes() == expected.tobytes(), (name, order, out.strides)
                assert [one.tobytes() for one in got] == others, (name, order, out.strides)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", ["RGB last", "wide NHWC", "7x7 planes", "NC"])
def test_alignment(shape, dtype):
    """x and the result begin anywhere between two cache lines: where tiles and streamed vectors begin moves with it."""
    shape, channel_axis = SHAPES[shape]
    values, calls = functions(shape, dtype, channel_axis)
    for name, call in calls.items():
        expected = bits(call, values)
        for offset in range(16):
            memory, target = (np.zeros(values.size + 16, values.dtype) for _ in range(2))
            x = memory[offset:][: values.size].reshape(shape)
            x[...] = values
            out = target[15 - offset :][: values.size].reshape(shape)
            assert bits(call, x) == expected, (name, offset)
            if not name.startswith(NO_OUT):
                assert bits(call, x, out=out) == expected, (name, offset)


def vector(length):
    return normal(length, seed=1)


# Shapes and dtypes of x whose results are above 32 MB, and calls: some for every loop that stores.
PAST_THE_CACHES = {
    "rows": ((8401, 2003), "float16", lambda x, **o: fastnorm.rms_norm(x, vector(2003), **o)),
    "short rows": ((15_001, 601), "float32", lambda x, **o: fastnorm.layer_norm(x, vector(601), vector(601), **o)),
    "short rows of float64": ((9001, 521), "float64", lambda x, **o: fastnorm.rms_norm(x, vector(521), **o)),
    "rows of bfloat16": ((8401, 2003), "bfloat16", fastnorm.layer_norm),
    "rows to float32": ((4201, 2003), "float64", lambda x, **o: fastnorm.layer_norm(x, dtype="float32", **o)),
    "rows to float16": ((8401, 2003), "float64", lambda x, **o: fastnorm.layer_norm(x, dtype="float16", **o)),
    "long rows": ((2101, 4003), "float32", lambda x, **o: fastnorm.layer_norm(x, vector(4003), **o)),
    "long planes, given": (
        (17, 171, 3001),
        "float32",
        lambda x, **o: fastnorm.batch_norm(x, vector(171), vector(171) ** 2, **o),
    ),
    "few rows": ((3, 2_900_001), "float32", fastnorm.layer_norm),
    "planes": ((5, 7, 240_001), "float32", lambda x, **o: fastnorm.instance_norm(x, weight=vector(7), **o)),
    "short planes": ((1801, 96, 49), "float32", lambda x, **o: fastnorm.group_norm(x, 8, vector(96), **o)),
    "short planes of one map": ((1801, 96, 49), "float32", lambda x, **o: fastnorm.instance_norm(x, eps=0.1, **o)),
    "short planes, given": (
        (901, 96, 49),
        "float64",
        lambda x, **o: fastnorm.batch_norm(x, vector(96), vector(96) ** 2, vector(96), **o),
    ),
    "short planes of many samples": (
        (151, 1201, 49),
        "float32",
        lambda x, **o: fastnorm.batch_norm(x, None, None, vector(1201), vector(1201), training=True, **o),
    ),
    "planes of many samples of float64": (
        (31, 701, 196),
        "float64",
        lambda x, **o: fastnorm.batch_norm(x, None, None, vector(701), training=True, **o),
    ),
    "short planes of many samples of float16": (
        (161, 2203, 49),
        "float16",
        lambda x, **o: fastnorm.batch_norm(x, training=True, **o),
    ),
    "range of columns": ((160_001, 53), "float32", lambda x, **o: fastnorm.min_max_scale(x, axis=0, **o)),
    "range of many columns": ((16_001, 530), "float32", lambda x, **o: fastnorm.min_max_scale(x, axis=0, **o)),
    "columns": ((16_001, 530), "float32", fastnorm.standardize),
    "columns of float64": ((8001, 530), "float64", fastnorm.standardize),
    "columns of whole vectors": ((17_001, 512), "float32", lambda x, **o: fastnorm.standardize(x, axis=0, **o)),
    "columns of whole vectors of float64": ((65_001, 72), "float64", fastnorm.standardize),
    "axis 1": ((2, 64, 66_001), "float32", lambda x, **o: fastnorm.layer_norm(x, vector(64), axis=1, **o)),
    "axis 1 of short planes": (
        (181, 1001, 49),
        "float32",
        lambda x, **o: fastnorm.layer_norm(x, vector(1001), vector(1001), axis=1, **o),
    ),
    "given, last": (
        (160_001, 53),
        "float32",
        lambda x, **o: fastnorm.batch_norm(x, vector(53), vector(53) ** 2, channel_axis=-1, **o),
    ),
    "three last": ((2, 1_400_001, 3), "float32", lambda x, **o: fastnorm.instance_norm(x, channel_axis=-1, **o)),
    "windows": ((2, 33, 128_001), "float32", lambda x, **o: fastnorm.local_response_norm(x, 5, **o)),
    "windows of float16": ((2, 33, 256_001), "float16", lambda x, **o: fastnorm.local_response_norm(x, 5, **o)),
    "windows, last": (
        (128_001, 67),
        "float32",
        lambda x, **o: fastnorm.local_response_norm(x, 5, channel_axis=-1, **o),
    ),
    "image to planes": ((1904, 1504, 3), "uint8", lambda x, **o: fastnorm.normalize_image(x, 100, 50, **o)),
    "part of an image to planes": (
        (1904, 1509, 3),
        "uint8",
        lambda x, **o: fastnorm.normalize_image(x[:, 5:], 100, 50, **o),
    ),
    "image": ((1901, 1501, 3), "uint8", lambda x, **o: fastnorm.normalize_image(x, 100, 50, layout="HWC->HWC", **o)),
}


@pytest.mark.parametrize("name", PAST_THE_CACHES)
def test_past_the_caches(name):
    """A reused result above 32 MB is written past the caches, at any alignment, with gaps; a new one is not."""
    shape, dtype, call = PAST_THE_CACHES[name]
    values = np.arange(65_521) % 251 if dtype == "uint8" else normal(65_521, offset=2.0)
    x = np.resize(values.astype(dtype_of(dtype)), shape)
    expected = call(x)
    assert expected.nbytes > 32 << 20
    memory = np.full(expected.size + 2 * 201, np.nan, expected.dtype)  # a few bytes behind x it would not be
    out = memory[201:-201].reshape(expected.shape)
    for n in (1, 3):
        out.fill(np.nan)
        with fastnorm.threads(n):
            assert call(x, out=out) is out
        assert out.tobytes() == expected.tobytes()
        assert np.isnan(memory[:201]).all()
        assert np.isnan(memory[-201:]).all()
    gaps = np.full((*expected.shape[:-1], expected.shape[-1] + 7), np.nan, expected.dtype)
    call(x, out=gaps[..., :-7])
    assert np.array_equal(gaps[..., :-7], expected)
    assert np.isnan(gaps[..., -7:]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [*range(7, 10), *range(15, 18), 24, 31, 32, 33, 48, 49, 64, 65])
def test_short_planes_without_gaps(width, dtype):
    """Vectors that reach from one channel into the next give what channels apart from each other give."""
    apart = np.empty((3, 13, width + 1), dtype)[..., :width]
    apart[...] = normal(apart.size, offset=2.0).reshape(apart.shape)
    x, memory = apart.copy(), np.empty(apart.size + 17, dtype)
    weight, bias = vector(13).astype(dtype), vector(13).astype(dtype)
    calls = {
        "axis 1": lambda x, **o: fastnorm.layer_norm(x, weight, bias, axis=1, **o),
        "axis 1, weight": lambda x, **o: fastnorm.layer_norm(x, weight, axis=1, **o),
        "group": lambda x, **o: fastnorm.group_norm(x, 1, weight, bias, **o),
        "instance": lambda x, **o: fastnorm.instance_norm(x, weight=weight, bias=bias, **o),
    }
    for name, call in calls.items():
        for start in range(17):
            out = memory[start : start + x.size].reshape(x.shape)
            call(x, out=out)
            assert out.tobytes() == np.ascontiguousarray(call(apart)).tobytes(), (name, start)


def splits(n):
    """Each sample alone, and the batch cut anywhere."""
    return [slice(i, i + 1) for i in range(n)] + [slice(i) for i in range(2, n)] + [slice(i, None) for i in range(1, n)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", OWN_PARAMETERS)
@pytest.mark.parametrize("per_sample", [False, True])
def test_a_sample_alone_and_in_any_batch(kind, dtype, per_sample):
    if per_sample and not kind.startswith("instance"):
        return
    for shape, channel_axis in SHAPES.values():
        names = ("weight", "bias")
        problem = make(kind, shape, dtype, channel_axis=channel_axis, names=names, per_sample=per_sample)
        whole = problem.call()
        for part in splits(shape[0]):
            own = {"labels", "style"} | (set(names) if per_sample else set())
            options = {name: problem.options[name][part] for name in own & set(problem.options)}
            alone = problem.call(problem.x[part], **options)
            assert alone.tobytes() == whole[part].tobytes(), (shape, part)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_and_windows_alone_and_in_any_batch(shape, dtype):
    shape, channel_axis = SHAPES[shape]
    x, calls = functions(shape, dtype, channel_axis, kinds=())
    for name in calls:
        if name.startswith(PER_SAMPLE) or (name == "image" and x.ndim == 4):
            whole = calls[name](x, return_stats=True)
            for part in splits(shape[0]):
                alone = calls[name](x[part], return_stats=True)
                for ours, theirs in zip(alone, whole, strict=True):
                    assert ours.tobytes() == theirs[part].tobytes(), (name, part)


@pytest.mark.parametrize("axis", [1, -1, (1, 2), (1, -1), (2, -1)])
def test_layer_norm_of_a_sample_alone(axis):
    for shape in [(3, 8, 12, 9), (2, 5, 4, 530), (3, 40, 3, 3), (2, 130, 5, 7)]:
        for order in [(0, 1, 2, 3), (0, 2, 3, 1)]:
            x = in_order(normal(shape, offset=1.0), order)
            whole = fastnorm.layer_norm(x, axis=axis)
            for n in range(len(x)):
                assert fastnorm.layer_norm(x[n : n + 1], axis=axis).tobytes() == whole[n].tobytes()


@pytest.mark.parametrize("scale", [1.0, 1e30])
@pytest.mark.parametrize("shape", [(3, 9, 11, 40), (3, 9, 11, 20), (2, 5, 7, 3), (1, 200, 200, 48)])
def test_the_sums_know_nothing_of_parameters(shape, scale):
    """Where a weight cuts in two what shares a statistic, and where its memory does not fit."""
    x = normal(shape, offset=1.0) * np.float32(scale)
    gaps = np.ones((*shape[2:-1], shape[-1] + 9), np.float32)[..., : shape[-1]]
    whole = functools.partial(fastnorm.group_norm, num_groups=1, channel_axis=-1)
    plane = functools.partial(fastnorm.layer_norm, axis=(2, 3))
    for n in (1, 3):
        with fastnorm.threads(n):
            for values in (x, crop(x)):
                assert bits(whole, values, weight=np.ones(shape[-1], np.float32)) == bits(whole, x)
                for weight in (gaps, gaps.copy()):
                    assert bits(plane, values, weight=weight) == bits(plane, x)


@pytest.mark.parametrize("kind", ["batch", "batch eval", "group"])
def test_what_a_new_result_is_written_with(kind):
    """32 MB of result are written past the cache where `out` is given, and not where memory is new."""
    for shape, channel_axis in [((2, 3, 1200, 1201), 1), ((2, 1200, 1201, 3), -1), ((20, 7, 7, 8700), -1)]:
        problem = make(kind, shape, channel_axis=channel_axis, names=("weight", "bias"))
        x, expected = problem.x, problem.call()
        memory = np.zeros(x.size + 3, np.float32)
        out = memory[3:].reshape(shape)
        assert np.array_equal(problem.call(out=out), expected)
        assert not memory[:3].any()
        assert np.array_equal(problem.call(out=x), expected)


def test_calls_from_python_threads():
    """Inputs, parameters and running statistics that are only read are shared; so are the library's own threads."""
    work = []
    for shape, channel_axis in [SHAPES["RGB last"], SHAPES["NC"], ((1, 3, 430, 430), 1), ((1, 500, 150, 5), -1)]:
        x, calls = functions(shape, "float32", channel_axis)
        work += [(call, x) for call in calls.values()]
    expected = [bits(*one) for one in work]
    with ThreadPoolExecutor(4) as pool:
        rounds = [pool.submit(lambda: [bits(*one) for one in work]) for _ in range(4)]
    assert all(one.result() == expected for one in rounds)
