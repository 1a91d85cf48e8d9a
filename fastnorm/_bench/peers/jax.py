"""JAX: the expression a user would write, compiled once for each case."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fastnorm._bench.cases import Array, Case, Inputs, align
from fastnorm._bench.peers import affine, groups, windows

version = jax.__version__
# What XLA's CPU client reads when it is made: the only limit of its threads, and not to be changed afterwards.
LIMITED = "PJRT_NPROC" in os.environ
note = "" if LIMITED else "runs on all cores in every row: its threads are set when the process starts"

configure: Callable[[str, Any], None] = jax.config.update
configure("jax_platforms", "cpu")
configure("jax_enable_x64", True)  # else float64 input is computed in float32


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Any] | None:
    """Compile the expression; JAX never writes into an array it is given."""
    if case.function not in OPERATIONS:
        return None
    compiled = jax.jit(functools.partial(OPERATIONS[case.function], case=case))
    x = jnp.asarray(inputs.x)
    parameters = {name: jnp.asarray(p) for name, p in case.align(inputs).items()}
    wait: Callable[[Any], Any] = jax.block_until_ready
    if case.settings.get("training"):  # the new running statistics are returned, too
        return lambda: wait(compiled(x, **parameters))[0]
    return lambda: wait(compiled(x, **parameters))


def to_numpy(result: Any) -> Array:
    """View the result as an array."""
    return np.asarray(result)


def over_axes(x: Any, case: Case, **parameters: Any) -> Any:
    return affine(jax.nn.standardize(x, axis=case.axes, epsilon=case.settings["eps"]), **parameters)


def rms_norm(x: Any, case: Case, **parameters: Any) -> Any:
    mean_square = jnp.mean(jnp.square(x), case.axes, keepdims=True)
    return affine(x * jax.lax.rsqrt(mean_square + case.settings["eps"]), **parameters)


def batch_norm(x: Any, case: Case, running_mean: Any, running_var: Any, **parameters: Any) -> Any:
    if not case.settings["training"]:
        return normalize(x, running_mean, running_var, case, **parameters)
    mean = x.mean(case.axes, keepdims=True)
    variance = x.var(case.axes, keepdims=True)
    momentum, n = case.settings["momentum"], x.size // mean.size
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (variance * n / (n - 1) - running_var)
    return normalize(x, mean, variance, case, **parameters), running_mean, running_var


def normalize(x: Any, mean: Any, variance: Any, case: Case, **parameters: Any) -> Any:
    return affine((x - mean) * jax.lax.rsqrt(variance + case.settings["eps"]), **parameters)


def conditional_instance_norm(x: Any, case: Case, labels: Any, weight: Any, bias: Any) -> Any:
    weight, bias = (align(styles[labels], (0, case.channel_axis), x.ndim) for styles in (weight, bias))
    return over_axes(x, case, weight=weight, bias=bias)


def adaptive_instance_norm(x: Any, case: Case, style: Any) -> Any:
    std = jnp.sqrt(style.var(case.axes, keepdims=True) + case.settings["eps"])
    return over_axes(x, case, weight=std, bias=style.mean(case.axes, keepdims=True))


def group_norm(x: Any, case: Case, **parameters: Any) -> Any:
    shape, axes = groups(case)
    grouped = jax.nn.standardize(x.reshape(shape), axis=axes, epsilon=case.settings["eps"])
    return affine(grouped.reshape(x.shape), **parameters)


def standardize(x: Any, case: Case) -> Any:
    return (x - x.mean(case.axes, keepdims=True)) / x.std(case.axes, keepdims=True)


def min_max_scale(x: Any, case: Case) -> Any:
    low = x.min(case.axes, keepdims=True)
    return (x - low) / (x.max(case.axes, keepdims=True) - low)


def lp_normalize(x: Any, case: Case) -> Any:
    s = case.settings
    return x / jnp.maximum(jnp.linalg.norm(x, s["p"], s["axis"], keepdims=True), s["eps"])


def moments(x: Any, case: Case) -> Any:
    return x.mean(case.axes), x.var(case.axes)


def local_response_norm(x: Any, case: Case) -> Any:
    s = case.settings
    return x / (s["k"] + s["alpha"] / s["size"] * sum(windows(x * x, case, jnp.pad))) ** s["beta"]


def layer_norm_rnn_cell(x: Any, case: Case, h: Any, weight_ih: Any, weight_hh: Any, gain: Any, bias: Any) -> Any:
    return jnp.tanh(over_axes(h @ weight_hh.T + x @ weight_ih.T, case, weight=gain, bias=bias))


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
    "local_response_norm": local_response_norm,
    "layer_norm_rnn_cell": layer_norm_rnn_cell,
}
