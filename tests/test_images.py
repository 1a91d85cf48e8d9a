"""Tests of `normalize_image`: the formula, its neighbours in other libraries, and bad input."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from arrays import DTYPES, dtype_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import LAYOUTS, MEAN, STD, error, parameters, pixels

import fastnorm
from fastnorm import reference


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


def test_reference_has_the_same_parameters():
    ours = dict(inspect.signature(fastnorm.normalize_image).parameters)
    del ours["out"]
    theirs = inspect.signature(reference.normalize_image).parameters
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]
