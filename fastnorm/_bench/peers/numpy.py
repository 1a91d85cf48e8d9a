"""NumPy: the expression a user would write, in the input's dtype.

bfloat16 is computed in float32 instead, as its users must: a sum kept in bfloat16 stops growing
after some hundred terms.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnorm._bench.cases import Array, Case, Inputs, align
from fastnorm._bench.peers import affine, groups, windows

version = np.__version__
note = ""


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Any]:
    """Bind the expression; NumPy has one thread for it, and no way to reuse the result."""
    x, parameters = inputs.x, case.align(inputs)
    if case.dtype == "bfloat16":
        parameters = {name: p.astype(np.float32) for name, p in parameters.items()}
    operation = functools.partial(OPERATIONS[case.function], case=case, **parameters)
    if case.dtype == "bfloat16":
        return lambda: operation(x.astype(np.float32)).astype(x.dtype)
    return functools.partial(operation, x)


def to_numpy(result: Array) -> Array:
    """Return the array itself."""
    return result


def over_axes(x: Array, case: Case, **parameters: Array) -> Array:
    mean = x.mean(case.axes, keepdims=True)
    variance = x.var(case.axes, keepdims=True)
    return normalize(x, mean, variance, case, **parameters)


def normalize(x: Array, mean: Array, variance: Array, case: Case, **parameters: Array) -> Array:
    y: Array = affine((x - mean) / np.sqrt(variance + case.settings["eps"]), **parameters)
    return y


def rms_norm(x: Array, case: Case, **parameters: Array) -> Array:
    mean_square = np.mean(x * x, case.axes, keepdims=True)
    y: Array = affine(x / np.sqrt(mean_square + case.settings["eps"]), **parameters)
    return y


def batch_norm(x: Array, case: Case, running_mean: Array, running_var: Array, **parameters: Array) -> Array:
    if not case.settings["training"]:
        return normalize(x, running_mean, running_var, case, **parameters)
    mean = x.mean(case.axes, keepdims=True)
    variance = x.var(case.axes, keepdims=True)
    momentum, n = case.settings["momentum"], x.size // mean.size
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (variance * n / (n - 1) - running_var)
    return normalize(x, mean, variance, case, **parameters)


def group_norm(x: Array, case: Case, **parameters: Array) -> Array:
    shape, axes = groups(case)
    grouped = x.reshape(shape)
    mean = grouped.mean(axes, keepdims=True)
    variance = grouped.var(axes, keepdims=True)
    y: Array = affine(normalize(grouped, mean, variance, case).reshape(x.shape), **parameters)
    return y


def conditional_instance_norm(x: Array, case: Case, labels: Array, weight: Array, bias: Array) -> Array:
    weight, bias = (align(styles[labels], (0, case.channel_axis), x.ndim) for styles in (weight, bias))
    return over_axes(x, case, weight=weight, bias=bias)


def adaptive_instance_norm(x: Array, case: Case, style: Array) -> Array:
    std = np.sqrt(style.var(case.axes, keepdims=True) + case.settings["eps"])
    return over_axes(x, case, weight=std, bias=style.mean(case.axes, keepdims=True))


def standardize(x: Array, case: Case) -> Array:
    y: Array = (x - x.mean(case.axes, keepdims=True)) / x.std(case.axes, keepdims=True)
    return y


def min_max_scale(x: Array, case: Case) -> Array:
    low = x.min(case.axes, keepdims=True)
    y: Array = (x - low) / (x.max(case.axes, keepdims=True) - low)
    return y


def lp_normalize(x: Array, case: Case) -> Array:
    norm = np.linalg.norm(x, case.settings["p"], case.settings["axis"], keepdims=True)
    y: Array = x / np.maximum(norm, x.dtype.type(case.settings["eps"]))
    return y


def moments(x: Array, case: Case) -> tuple[Array, Array]:
    return x.mean(case.axes), x.var(case.axes)


def dropout(x: Array, case: Case) -> Array:
    p = case.options["p"]
    y: Array = np.where(RNG.random(x.shape, np.float32) >= p, x / (1 - p), x.dtype.type(0))
    return y


def local_response_norm(x: Array, case: Case) -> Array:
    s = case.settings
    y: Array = x / (s["k"] + s["alpha"] / s["size"] * sum(windows(x * x, case, np.pad))) ** s["beta"]
    return y


def layer_norm_rnn_cell(
    x: Array, case: Case, h: Array, weight_ih: Array, weight_hh: Array, gain: Array, bias: Array
) -> Array:
    y: Array = np.tanh(over_axes(h @ weight_hh.T + x @ weight_ih.T, case, weight=gain, bias=bias))
    return y


def normalize_image(x: Array, case: Case, mean: Array, std: Array) -> Array:
    y = (x.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(np.moveaxis(y, -1, -3)) if case.channels_move else y


RNG = np.random.default_rng(0)

OPERATIONS: dict[str, Callable[..., Any]] = {
    "layer_norm": over_axes,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "instance_norm": over_axes,
    "conditional_instance_norm": conditional_instance_norm,
    "adaptive_instance_norm": adaptive_instance_norm,
    "group_norm": group_norm,
    "standardize": standardize,
    "min_max_scale": min_max_scale,
    "normalize": lp_normalize,
    "moments": moments,
    "dropout": dropout,
    "local_response_norm": local_response_norm,
    "layer_norm_rnn_cell": layer_norm_rnn_cell,
    "normalize_image": normalize_image,
}
