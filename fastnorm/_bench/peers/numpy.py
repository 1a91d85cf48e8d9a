"""NumPy: the expression a user would write, in the input's dtype.

bfloat16 is computed in float32 instead, as its users must: a sum kept in bfloat16 stops growing
after some hundred terms.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from fastnorm._bench.cases import Array, Case, Inputs, align
from fastnorm._bench.peers import affine

version = np.__version__
note = ""


def prepare(case: Case, inputs: Inputs, threads: int) -> Callable[[], Array] | None:
    """Bind the expression; NumPy has one thread for it, and no way to reuse the result."""
    if case.function not in OPERATIONS:
        return None
    x, parameters = inputs.x, inputs.parameters
    if case.dtype == "bfloat16":
        parameters = {name: p.astype(np.float32) for name, p in parameters.items()}
    aligned = {name: align(p, case.axes, x.ndim) for name, p in parameters.items()}
    operation = functools.partial(OPERATIONS[case.function], axis=case.axes, eps=case.settings["eps"], **aligned)
    if case.dtype == "bfloat16":
        return lambda: operation(x.astype(np.float32)).astype(x.dtype)
    return functools.partial(operation, x)


def to_numpy(result: Array) -> Array:
    """Return the array itself."""
    return result


def layer_norm(x: Array, *, axis: tuple[int, ...], eps: float, **parameters: Array) -> Array:
    mean = x.mean(axis, keepdims=True)
    variance = x.var(axis, keepdims=True)
    y: Array = affine((x - mean) / np.sqrt(variance + eps), **parameters)
    return y


def rms_norm(x: Array, *, axis: tuple[int, ...], eps: float, **parameters: Array) -> Array:
    mean_square = np.mean(x * x, axis, keepdims=True)
    y: Array = affine(x / np.sqrt(mean_square + eps), **parameters)
    return y


OPERATIONS: dict[str, Callable[..., Array]] = {"layer_norm": layer_norm, "rms_norm": rms_norm}
