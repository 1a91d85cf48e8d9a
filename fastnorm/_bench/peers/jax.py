"""JAX: the expression a user would write, compiled once for each case."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fastnorm._bench.cases import Array, Case, Inputs, align
from fastnorm._bench.peers import affine

version = jax.__version__
note = "runs on all cores in every row: its threads are set when the process starts"

configure: Callable[[str, Any], None] = jax.config.update
configure("jax_platforms", "cpu")
configure("jax_enable_x64", True)  # else float64 input is computed in float32


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Any] | None:
    """Compile the expression; JAX never writes into an array it is given."""
    if case.function not in OPERATIONS:
        return None
    compiled = jax.jit(functools.partial(OPERATIONS[case.function], axis=case.axes, eps=case.settings["eps"]))
    x = jnp.asarray(inputs.x)
    parameters = {name: jnp.asarray(align(p, case.axes, x.ndim)) for name, p in inputs.parameters.items()}
    return lambda: compiled(x, **parameters).block_until_ready()


def to_numpy(result: Any) -> Array:
    """View the result as an array."""
    return np.asarray(result)


def layer_norm(x: Any, *, axis: tuple[int, ...], eps: float, **parameters: Any) -> Any:
    return affine(jax.nn.standardize(x, axis=axis, epsilon=eps), **parameters)


def rms_norm(x: Any, *, axis: tuple[int, ...], eps: float, **parameters: Any) -> Any:
    mean_square = jnp.mean(jnp.square(x), axis, keepdims=True)
    return affine(x * jax.lax.rsqrt(mean_square + eps), **parameters)


OPERATIONS: dict[str, Callable[..., Any]] = {"layer_norm": layer_norm, "rms_norm": rms_norm}
