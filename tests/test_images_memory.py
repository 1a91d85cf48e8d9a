"""`normalize_image` on memory of every kind: the same bits, and nothing touched beyond."""

import mmap
import sys
import tracemalloc

import numpy as np
import pytest
from arrays import DTYPES, dtype_of
from guarded import Region
from pictures import LAYOUTS, MEAN, MEMORY, STD, error, parameters, pixels, planar, with_gaps

import fastnorm


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


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded by Linux' mprotect")
def test_nothing_is_touched_beyond_wider_pixels(at_end, layout):
    """A read past it stops the process."""

    def place(values):
        return Region(-(-values.nbytes // mmap.PAGESIZE)).place(values, values.strides, at_end)

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
            raw = place(pixels(count, seed=width))
            image = np.lib.stride_tricks.as_strided(raw, (2, width, channels), (width * pixel, pixel, 1))
            image = image[..., ::-1] if back else image
            mean, std = parameters(channels)
            out = place(np.zeros(image.size, np.float32))
            out = out.reshape((channels, 2, width) if layout == "HWC->CHW" else image.shape)
            fastnorm.normalize_image(image, mean, std, layout=layout, out=out)
            assert error(out, image, mean, std, layout=layout) <= 1


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
