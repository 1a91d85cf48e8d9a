"""Tests of the photographs example: the norms of feature maps on channels-last images.

Responsible for what the example claims of its results: whose colours a photograph has, and that the computation in
NumPy beside it is the same one. Without scikit-learn only the claims about any images are tested, on random ones.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from arrays import normal

SCRIPT = Path(__file__).parents[1] / "examples" / "photographs.py"


@pytest.fixture(scope="module")
def example():
    """The script as a module; it needs no optional package until it loads the photographs."""
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["random", "photographs"])
def images(request, example):
    if request.param == "random":
        return normal((2, 40, 50, 3), offset=np.array([0.2, 0.5, 0.6]), scale=np.array([0.1, 0.3, 0.2]))
    pytest.importorskip("sklearn")
    pytest.importorskip("PIL")
    return example.load_photographs()


def with_eps(example, deviation, wanted):
    """The deviation that x of this one gets in place of the wanted one: by eps, the normalised x's is below 1."""
    return np.sqrt(wanted**2 * (1 - example.EPS / deviation**2) + example.EPS)


def test_colours_are_swapped(example, images):
    mean, deviation = example.measure(images.astype(np.float64))
    got_mean, got_deviation = example.measure(example.swap_colours(images).astype(np.float64))
    np.testing.assert_allclose(got_mean, mean[::-1], atol=1e-6)
    np.testing.assert_allclose(got_deviation, with_eps(example, deviation, deviation[::-1]), atol=1e-6)


def test_colours_are_balanced(example, images):
    _, deviation = example.measure(images.astype(np.float64))
    got_mean, got_deviation = example.measure(example.balance_colours(images).astype(np.float64))
    np.testing.assert_allclose(got_mean, 0.5, atol=1e-6)
    np.testing.assert_allclose(got_deviation, with_eps(example, deviation, 0.2), atol=1e-6)


@pytest.mark.parametrize("name", ["swap_colours", "balance_colours"])
def test_numpy_computes_the_same(example, images, name):
    """In float64: in float32 NumPy adds a channel's pixels one after the other, and loses half of the digits."""
    y = getattr(example, name)(images)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, getattr(example, f"numpy_{name}")(images.astype(np.float64)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("package", ["sklearn", "PIL"])
def test_missing_package_is_one_line_and_exit_code_1(package):
    if package == "PIL":
        pytest.importorskip("sklearn")
    without = f"import runpy, sys; sys.modules[{package!r}] = None; " + (
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "pip install scikit-learn pillow" in run.stderr


def test_script_runs_and_draws(tmp_path):
    pytest.importorskip("sklearn")
    image = pytest.importorskip("PIL.Image")
    picture = tmp_path / "photographs.png"
    run = subprocess.run([sys.executable, SCRIPT, picture], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("temple red") == 3
    assert run.stdout.count("largest error") == 4
    with image.open(picture) as drawn:
        assert drawn.size == (3 * 640, 2 * 427)
