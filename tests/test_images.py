"""Tests of `normalize_image`: every dtype, layout and kind of memory against the formula, and nothing touched beyond.

How far a result may be from the formula: x - mean / scale rounds once in the arithmetic type, the factor scale / std
was rounded to it, the multiply-add rounds once (twice on a tier without the fused instruction), the store once. All
four are relative to the result, because what the mean lost to rounding is added back; that, and the float64 numbers on
the way there, are below the square of the arithmetic's unit (or 2**-53) relative to the parts of the difference.
"""

import ctypes
import inspect
import mmap
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from arrays import DTYPES, dtype_of, swapped
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnorm
from fastnorm import reference
from fastnorm._bench.agreement import SMALLEST_SUBNORMAL, UNIT_ROUNDOFF, distance

LAYOUTS = ["HWC->CHW", "HWC->HWC"]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of ImageNet


def pixels(shape, dtype="uint8", seed=0):
    """Random bytes, or floats around the mean."""
    rng = np.random.default_rng(seed)
    if dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.normal(0.4, 0.3, shape).astype(dtype_of(dtype))


def parameters(channels, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 0.6, channels), rng.uniform(0.1, 0.4, channels)


def error(y, image, mean, std, *, scale=None, layout="HWC->CHW"):
    """Worst error in units of what the docstring above allows."""
    planes = layout == "HWC->CHW"
    factor = scale if scale is not None else 1 / 255 if image.dtype == np.uint8 else 1.0
    std = np.asarray(std, np.float64)
    expected = reference.normalize_image(image, mean, std, scale=scale, layout="HWC->HWC", dtype=np.float64)
    parts = (np.abs(image.astype(np.float64) * factor) + np.abs(mean)) / np.abs(std)
    u = UNIT_ROUNDOFF["float64" if "float64" in (image.dtype.name, y.dtype.name) else "float32"]
    store = UNIT_ROUNDOFF[y.dtype.name]
    with np.errstate(all="ignore"):
        allowed = (
            (store + 4 * u) * np.abs(expected) + 4 * max(u * u, 2.0**-53) * parts + SMALLEST_SUBNORMAL[y.dtype.name]
        )
    return distance(np.moveaxis(y, -3, -1) if planes else y, expected, allowed)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", *DTYPES])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 16, 17, 300])
def test_formula(channels, dtype, layout):
    """Widths around a vector's, and around a span's."""
    mean, std = parameters(channels)
    for shape in [(1, 1), (3, 2), (2, 15), (1, 16), (3, 17), (2, 33), (1, 513), (2, 2, 5)]:
        image = pixels((*shape, channels), dtype)
        for result in DTYPES:
            y = fastnorm.normalize_image(image, mean, std, layout=layout, dtype=dtype_of(result))
            assert y.dtype == dtype_of(result)
            assert y.flags.c_contiguous
            assert error(y, image, mean, std, layout=layout) <= 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_byte_is_within_one_unit_of_the_last_place(layout):
    """With m = mean * 255 of ImageNet float32 holds x - m to the last digit, but for |x - m| > 128; so the factor's
    rounding is left, of up to one unit in the last place, and the other is too rare here to add to it. Without a fused
    multiply-add the product rounds, too."""
    units = 1 if fastnorm.show_config("dicts")["fma"] else 2
    image = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    y = fastnorm.normalize_image(image, MEAN, STD, layout=layout)
    expected = reference.normalize_image(image, MEAN, STD, layout=layout)
    assert np.max(np.abs(y - expected) / np.spacing(np.abs(expected))) <= units


def with_gaps(image, channel=1, pixel=1):
    """Every `pixel`-th pixel and `channel`-th channel of a larger image."""
    *batch, height, width, channels = image.shape
    big = np.zeros((*batch, height + 2, width * pixel + 3, channels * channel), image.dtype)
    view = big[..., 1:-1, 2:-1:pixel, ::channel] if pixel == 1 else big[..., 1:-1, : width * pixel : pixel, ::channel]
    view[...] = image
    return view


def beside_others(image, before, after):
    """Its channels within wider pixels."""
    big = np.zeros((*image.shape[:-1], before + image.shape[-1] + after), image.dtype)
    view = big[..., before : before + image.shape[-1]]
    view[...] = image
    return view


def unaligned(image):
    raw = np.zeros(image.nbytes + 1, np.uint8)[1:]
    view = raw.view(image.dtype).reshape(image.shape)
    view[...] = image
    return view


def planar(image):
    return np.moveaxis(np.moveaxis(image, -1, -3).copy(), -3, -1)


MEMORY = {
    "crop": with_gaps,
    "BGR": lambda a: a[..., ::-1].copy()[..., ::-1],
    "BGR crop": lambda a: with_gaps(a[..., ::-1])[..., ::-1],
    "first of wider pixels": lambda a: beside_others(a, 0, 1),
    "last of wider pixels": lambda a: beside_others(a, 1, 0),
    "reversed in wider pixels": lambda a: beside_others(a[..., ::-1], 0, 1)[..., ::-1],
    "among many channels": lambda a: beside_others(a, 5, 7),
    "every second pixel": lambda a: with_gaps(a, pixel=2),
    "every second channel": lambda a: with_gaps(a, channel=2),
    "planes": planar,
    "transposed": lambda a: a.swapaxes(-2, -3).copy().swapaxes(-2, -3),
    "Fortran": np.asfortranarray,
    "upside down": lambda a: a[..., ::-1, :, :].copy()[..., ::-1, :, :],
    "mirrored": lambda a: a[..., ::-1, :].copy()[..., ::-1, :],
    "mirrored BGR": lambda a: a[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "unaligned": unaligned,
    "swapped bytes": swapped,
    "samples apart": lambda a: a if a.ndim < 4 else a[:, None].repeat(2, 1)[:, 0],
    "samples innermost": lambda a: a if a.ndim < 4 else np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "float64", "bfloat16"])
@pytest.mark.parametrize("memory", MEMORY)
def test_memory_of_any_kind_gives_the_same_bits(memory, dtype, layout):
    for shape in [(7, 9, 3), (5, 40, 3), (3, 40, 4), (4, 17, 2), (3, 21, 1), (2, 6, 18, 3), (2, 3, 5, 20), (2, 700, 3)]:
        image = pixels(shape, dtype)
        mean, std = parameters(shape[-1])
        expected = fastnorm.normalize_image(image, mean, std, layout=layout)
        view = MEMORY[memory](image)
        view.flags.writeable = False
        np.testing.assert_array_equal(view, image)
        y = fastnorm.normalize_image(view, mean, std, layout=layout)
        assert np.ascontiguousarray(y).tobytes() == expected.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("memory", MEMORY)
def test_out_of_any_kind(memory, dtype, layout):
    for shape in [(7, 9, 3), (5, 40, 4), (2, 6, 18, 3), (3, 21, 1), (2, 700, 3)]:
        image = pixels(shape, dtype)
        mean, std = parameters(shape[-1])
        for result in DTYPES:
            expected = fastnorm.normalize_image(image, mean, std, layout=layout, dtype=dtype_of(result))
            out = MEMORY[memory](np.zeros_like(expected))
            untouched = None if out.base is None else out.base.copy()
            assert fastnorm.normalize_image(image, mean, std, layout=layout, dtype=None, out=out) is out
            assert np.ascontiguousarray(out.astype(expected.dtype)).tobytes() == expected.tobytes()
            if untouched is not None and untouched.dtype == out.dtype:
                out[...] = 0
                np.testing.assert_array_equal(out.base, untouched)


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place(dtype, channels):
    mean, std = parameters(channels)
    for make in (np.copy, lambda a: with_gaps(a)[..., ::-1], planar):
        image = make(pixels((5, 33, channels), dtype))
        kept = image.copy()
        expected = fastnorm.normalize_image(kept, mean, std, layout="HWC->HWC", dtype=image.dtype)
        assert (
            fastnorm.normalize_image(image, mean, std, layout="HWC->HWC", dtype=image.dtype, out=image).tobytes()
            == expected.tobytes()
        )
        image[...] = kept
        planes = np.moveaxis(image, -1, -3)  # the same elements, each in its place
        assert fastnorm.normalize_image(image, mean, std, dtype=image.dtype, out=planes) is planes
        assert image.tobytes() == expected.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_out_that_overlaps(dtype, layout):
    """Shifted, in another order, or wider: as if it were apart."""
    for height, width in [(4, 4), (5, 7)]:
        memory = np.zeros(2000, np.float32)
        count = height * width * 3
        for start in (0, 1, 40):
            x = pixels((height, width, 3), dtype, seed=start)
            image = memory.view(x.dtype)[40 : 40 + count].reshape(x.shape)
            image[...] = x
            expected = fastnorm.normalize_image(x, MEAN, STD, layout=layout)
            out = memory[start : start + count].reshape(expected.shape)
            fastnorm.normalize_image(image, MEAN, STD, layout=layout, out=out)
            assert out.tobytes() == expected.tobytes()


def test_same_strides_are_not_the_same_elements():
    """A cube of bytes' size: image and result share address, strides and item size, but not the order of axes."""
    memory = pixels((3, 3, 3), "float32")
    expected = fastnorm.normalize_image(memory.copy(), MEAN, STD)
    assert fastnorm.normalize_image(memory, MEAN, STD, out=memory).tobytes() == expected.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_threads_and_alignment_change_no_bit(dtype, layout):
    """Also where the result is large enough to be written past the caches, and its planes start anywhere in a line."""
    raw = np.zeros(1750 * 1701 * 3 + 64, np.uint8 if dtype == "uint8" else np.float32)
    image = raw[: 1750 * 1701 * 3].reshape(1750, 1701, 3)
    image[...] = pixels((1750, 243, 3), dtype).repeat(7, 1)
    with fastnorm.threads(1):
        expected = fastnorm.normalize_image(image, MEAN, STD, layout=layout)
    assert error(expected[:, :90] if layout == "HWC->CHW" else expected[:90], image[:90], MEAN, STD, layout=layout) <= 1
    memory = np.zeros(expected.size + 16, np.float32)
    for threads, start in [(1, 0), (2, 3), (4, 16)]:
        out = memory[start : start + expected.size].reshape(expected.shape)
        with fastnorm.threads(threads):
            fastnorm.normalize_image(image, MEAN, STD, layout=layout, out=out)
        assert np.array_equal(out.view(np.uint32), expected.view(np.uint32))
    for result in ("float16", "float64"):
        out = np.zeros(expected.shape, result)
        with fastnorm.threads(2):
            y = fastnorm.normalize_image(image[:1200], MEAN, STD, layout=layout, dtype=result)
            out = np.zeros(y.shape, result)
            fastnorm.normalize_image(image[:1200], MEAN, STD, layout=layout, dtype=result, out=out)
        assert np.array_equal(out, y)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_where_memory_begins_and_what_else_is_in_the_batch_change_no_bit(dtype, layout):
    for shape in [(4, 5, 37, 3), (3, 2, 19, 4)]:
        images = pixels(shape, dtype)
        mean, std = parameters(shape[-1])
        expected = fastnorm.normalize_image(images, mean, std, layout=layout)
        for n in range(len(images)):
            assert fastnorm.normalize_image(images[n], mean, std, layout=layout).tobytes() == expected[n].tobytes()
            parts = [fastnorm.normalize_image(one, mean, std, layout=layout) for one in (images[:n], images[n:])]
            assert np.concatenate(parts).tobytes() == expected.tobytes()
        for offset in range(16):
            memory, target = np.zeros(images.size + 16, images.dtype), np.zeros(images.size + 16, np.float32)
            view = memory[offset:][: images.size].reshape(shape)
            view[...] = images
            out = target[15 - offset :][: images.size].reshape(expected.shape)
            fastnorm.normalize_image(view, mean, std, layout=layout, out=out)
            assert out.tobytes() == expected.tobytes()


@pytest.fixture(scope="module")
def guarded():
    """A function that makes bytes whose neighbours, on the named side, cannot be read or written."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "mprotect"):
        pytest.skip("needs mprotect")
    page = mmap.PAGESIZE
    held = []

    def make(count, side):
        inner = -(-count // page) * page
        memory = mmap.mmap(-1, inner + 2 * page)
        held.append(memory)
        whole = np.frombuffer(memory, np.uint8)
        for guard in (0, page + inner):
            assert libc.mprotect(ctypes.c_void_p(whole.ctypes.data + guard), page, 0) == 0
        start = page + inner - count if side == "end" else page
        return whole[start : start + count]

    yield make
    for memory in held:  # freed pages must be readable again
        address = np.frombuffer(memory, np.uint8).ctypes.data
        libc.mprotect(ctypes.c_void_p(address), len(memory), mmap.PROT_READ | mmap.PROT_WRITE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("side", ["end", "start"])
def test_nothing_is_touched_beyond_the_image(guarded, side, layout):
    """A read past it stops the process."""
    for width in (1, 5, 15, 16, 17, 31, 32, 512, 513):
        for channels, pixel, back in [
            (1, 1, 0),
            (1, 3, 0),
            (3, 3, 0),
            (3, 3, 1),
            (2, 4, 0),
            (3, 4, 0),
            (3, 4, 1),
            (4, 4, 1),
        ]:
            # The last pixel's unused channels are left out: they lie beyond the guard.
            count = (2 * width - 1) * pixel + channels
            raw = guarded(count, side)
            raw[:] = pixels(count, seed=width)
            image = np.lib.stride_tricks.as_strided(raw, (2, width, channels), (width * pixel, pixel, 1))
            image = image[..., ::-1] if back else image
            mean, std = parameters(channels)
            out = guarded(4 * image.size, side).view(np.float32)
            out = out.reshape((channels, 2, width) if layout == "HWC->CHW" else image.shape)
            fastnorm.normalize_image(image, mean, std, layout=layout, out=out)
            assert error(out, image, mean, std, layout=layout) <= 1


@pytest.fixture(scope="module")
def photographs():
    pytest.importorskip("PIL")
    datasets = pytest.importorskip("sklearn.datasets")
    return np.stack(datasets.load_sample_images().images)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_photographs(photographs, layout):
    assert photographs.dtype == np.uint8
    y = fastnorm.normalize_image(photographs, MEAN, STD, layout=layout)
    assert error(y, photographs, MEAN, STD, layout=layout) <= 1
    for one, expected in zip(photographs, y, strict=True):
        assert fastnorm.normalize_image(one, MEAN, STD, layout=layout).tobytes() == expected.tobytes()


def test_photographs_as_pytorch_has_them(photographs):
    """The steps of torchvision's ToTensor and Normalize. Each rounds once, the first two to numbers of the size of the
    pixel, which the division by std enlarges."""
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(photographs).permute(0, 3, 1, 2).float().div(255)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (MEAN, STD))
    theirs = ((x - mean) / std).numpy()
    u, largest = 2.0**-24, 1 / min(STD)
    np.testing.assert_allclose(
        fastnorm.normalize_image(photographs, MEAN, STD), theirs, rtol=4 * u, atol=(1 + 0.5 + 0.5) * u * largest
    )


def test_example_runs_and_draws(tmp_path):
    pytest.importorskip("sklearn")
    image = pytest.importorskip("PIL.Image")
    picture = tmp_path / "planes.png"
    script = Path(__file__).parents[1] / "examples" / "normalize_image.py"
    run = subprocess.run([sys.executable, script, picture], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("largest error") == 2
    with image.open(picture) as drawn:
        assert drawn.size == (2 * 640, 2 * 427)


def test_opencv_s_blob():
    """One factor, means in the image's units, channels swapped."""
    cv2 = pytest.importorskip("cv2")
    image = pixels((31, 45, 3))
    blob = cv2.dnn.blobFromImage(image, 1 / 50, mean=(120, 110, 100), swapRB=True)[0]
    y = fastnorm.normalize_image(image[..., ::-1], [120, 110, 100], 50, scale=1)
    np.testing.assert_allclose(y, blob, rtol=4 * 2.0**-24, atol=4 * 2.0**-24 * 255 / 50)


@settings(max_examples=100)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=2),
    st.integers(1, 6),
    st.sampled_from(["uint8", *DTYPES]),
    st.sampled_from(LAYOUTS),
    st.floats(-2, 2),
    st.floats(0.01, 100) | st.floats(-100, -0.01),
    st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3),
    st.permutations([0, 1, 2]),
)
def test_any_numbers(size, channels, dtype, layout, mean, std, scale, order):
    image = pixels((*size, channels), dtype)
    image = image.transpose(order).copy().transpose(np.argsort(order))
    y = fastnorm.normalize_image(image, mean, std, scale=scale, layout=layout)
    assert error(y, image, mean, std, scale=scale, layout=layout) <= 1


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 1)), min_size=1, max_size=5))
def test_bytes_come_back(numbers):
    mean, std = np.transpose(numbers)
    image = np.arange(256, dtype=np.uint8).reshape(8, 32, 1).repeat(len(mean), 2)
    y = fastnorm.normalize_image(image, mean, std, layout="HWC->HWC")
    np.testing.assert_array_equal(np.rint((y * std + mean) * 255), image)


def test_defaults_and_single_numbers():
    image = pixels((4, 5, 3))
    expected = fastnorm.normalize_image(image, [0.5] * 3, [0.25] * 3)
    assert expected.dtype == np.float32
    assert expected.shape == (3, 4, 5)
    for mean, std in [(0.5, 0.25), (np.float32(0.5), (0.25,) * 3), (np.full(3, 0.5, np.float16), np.array(0.25))]:
        np.testing.assert_array_equal(fastnorm.normalize_image(image, mean, std), expected)
    np.testing.assert_array_equal(fastnorm.normalize_image(image, 0.5, 0.25, scale=1 / 255), expected)
    np.testing.assert_array_equal(
        fastnorm.normalize_image(image.tolist() + np.float64(0), 0, 1, scale=0.5)[0, 0, 0], image[0, 0, 0] / 2
    )
    np.testing.assert_array_equal(fastnorm.normalize_image(image.astype(np.float32), 0, 1, layout="HWC->HWC"), image)
    np.testing.assert_array_equal(
        fastnorm.normalize_image(image, 0, -1, scale=1, layout="HWC->HWC"), -image.astype(float)
    )
    assert fastnorm.normalize_image(image, 0.5, 0.25, dtype=None).dtype == np.float32


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_stays_where_it_is(dtype, layout):
    image = pixels((6, 20, 3), dtype)
    image[1, 2, 0], image[3, 4, 1], image[5, 19, 2] = np.nan, np.inf, -np.inf
    y = fastnorm.normalize_image(image, MEAN, STD, layout=layout)
    assert error(y, image, MEAN, STD, layout=layout) <= 1
    assert np.count_nonzero(~np.isfinite(y)) == 3


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0, 3), (4, 4, 0), (0, 4, 4, 3), (2, 0, 4, 3), (2, 4, 4, 0)])
def test_no_elements(shape, layout):
    for dtype in ("uint8", "float32"):
        image = np.empty(shape, dtype)
        expected = reference.normalize_image(image, 0.5, 0.5, layout=layout)
        y = fastnorm.normalize_image(image, [0.5] * shape[-1], 0.5, layout=layout)
        assert y.shape == expected.shape
        assert y.dtype == np.float32
        out = np.empty(expected.shape, np.float32)
        assert fastnorm.normalize_image(image, 0.5, 0.5, layout=layout, out=out) is out


IMAGE = pixels((4, 5, 3))
READ_ONLY = np.zeros((3, 4, 5), np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"image": IMAGE[0]}, ValueError, r"image has shape \(5, 3\), expected \(height, width, channels\)"),
        ({"image": IMAGE[None, None]}, ValueError, "image has shape"),
        ({"image": IMAGE.astype(np.int32)}, TypeError, r"image has dtype int32, expected uint8.*astype.*scale"),
        ({"image": IMAGE.astype(np.uint16)}, TypeError, "image has dtype uint16"),
        ({"image": IMAGE.astype(np.int8)}, TypeError, "image has dtype int8"),
        ({"image": IMAGE > 3}, TypeError, "image has dtype bool"),
        ({"image": IMAGE.astype(complex)}, TypeError, "image has dtype complex128, expected uint8.*float64$"),
        ({"image": np.ma.array(IMAGE)}, TypeError, "image is a masked array"),
        ({"mean": MEAN[:2]}, ValueError, r"mean has shape \(2,\), expected \(3,\)"),
        ({"mean": [MEAN]}, ValueError, r"mean has shape \(1, 3\)"),
        ({"std": np.ones((3, 1, 1))}, ValueError, r"std has shape \(3, 1, 1\), expected \(3,\)"),
        ({"std": [*STD, 1.0]}, ValueError, r"std has shape \(4,\)"),
        ({"mean": ["a", "b", "c"]}, TypeError, "mean has dtype"),
        ({"mean": [0.5, np.nan, 0.5]}, ValueError, "mean is nan for channel 1, expected finite"),
        ({"std": [0.5, 0.5, np.inf]}, ValueError, "std is inf for channel 2, expected finite"),
        ({"std": [0.5, 0.0, 0.5]}, ValueError, "std is 0 for channel 1"),
        ({"std": 0}, ValueError, "std is 0"),
        ({"std": -0.0}, ValueError, "std is 0"),
        ({"scale": 0}, ValueError, "scale is 0, expected a finite number other than 0"),
        ({"scale": np.inf}, ValueError, "scale is inf"),
        ({"scale": "1"}, TypeError, "scale is '1', expected a number"),
        ({"scale": [1.0] * 3}, TypeError, "scale is"),
        ({"scale": 1e-39}, ValueError, r"mean / scale is 4.85e\+38 .*for channel 0.*float32, .*: dtype=numpy.float64"),
        (
            {"std": [1.0, 1e-300, 1.0]},
            ValueError,
            "scale / std is .* for channel 1, expected both in the range of float32",
        ),
        ({"mean": 1e31, "std": 1e31}, ValueError, r"the former below 1.01e\+31: dtype=numpy.float64 has a wider one"),
        ({"scale": 1e-300, "mean": 0, "dtype": np.float64, "std": 1e10}, ValueError, "in the range of float64, "),
        ({"layout": "CHW->HWC"}, ValueError, "layout is 'CHW->HWC', expected 'HWC->CHW' or 'HWC->HWC'"),
        ({"layout": ["HWC->CHW"]}, ValueError, "layout is"),
        ({"dtype": np.int32}, TypeError, "dtype is int32, expected"),
        ({"dtype": "no such"}, TypeError, "dtype is 'no such'"),
        ({"out": np.zeros((4, 5, 3), np.float32)}, ValueError, r"out has shape \(4, 5, 3\), expected \(3, 4, 5\)"),
        ({"out": np.zeros((3, 4, 5), np.float16)}, TypeError, "dtype is float32, but out has dtype float16"),
        ({"out": np.zeros((3, 4, 5), np.uint8)}, TypeError, "out has dtype uint8"),
        ({"out": [0.0]}, TypeError, "out has type list"),
        ({"out": READ_ONLY}, ValueError, "out is read-only"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(changed, kind, message):
    arguments = {"image": IMAGE, "mean": MEAN, "std": STD, **changed}
    shape = (4, 5, 3) if arguments.get("layout") == "HWC->HWC" else (3, 4, 5)
    if "out" not in arguments and arguments.get("dtype", np.float32) in (np.float32, np.float64):
        arguments["out"] = np.full(shape, 7, arguments.get("dtype", np.float32))
    before = np.array(arguments.get("out", 0))
    with pytest.raises(kind, match=message):
        fastnorm.normalize_image(**arguments)
    np.testing.assert_array_equal(arguments.get("out", 0), before)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("memory", MEMORY)
def test_no_temporary_of_the_size_of_the_image(memory, layout):
    for dtype in ("uint8", "float32"):
        view = MEMORY[memory](pixels((300, 400, 3), dtype))
        out = np.empty((3, 300, 400) if layout == "HWC->CHW" else view.shape, np.float32)
        peak = 0
        for _ in range(2):
            tracemalloc.start()
            fastnorm.normalize_image(view, MEAN, STD, layout=layout, out=out)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 20_000


def test_reference_has_the_same_parameters():
    ours = dict(inspect.signature(fastnorm.normalize_image).parameters)
    del ours["out"]
    theirs = inspect.signature(reference.normalize_image).parameters
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]
