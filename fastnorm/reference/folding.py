"""Batch norm by running statistics as scale * x + shift, and merged into the layer before it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm.reference import _steps
from fastnorm.reference._steps import Values


def fold_batch_norm(
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weight / sqrt(running_var + eps), and bias - running_mean * that; see `fastnorm.fold_batch_norm`.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.fold_batch_norm([1.0, 10.0], [4.0, 25.0], weight=[2.0, 1.0], eps=0.0)
    (array([1. , 0.2]), array([-1., -2.]))
    """
    _, _, dtype = _steps.prepare(running_mean, 0, None)
    scale, shift = _scale_and_shift(None, running_mean, running_var, weight, bias, eps)
    return _flushed(scale, dtype), _flushed(shift, dtype)


def fuse_linear_batch_norm(
    weight: ArrayLike,
    bias: ArrayLike | None,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    bn_weight: ArrayLike | None = None,
    bn_bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Row o of the weight times scale o, and (bias - mean) * scale + bn_bias; see `fastnorm`'s function.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.fuse_linear_batch_norm([[3.0, 4.0]], [5.0], [6.0], [4.0], eps=0.0)
    (array([[1.5, 2. ]]), array([-0.5]))
    """
    values, _, dtype = _steps.prepare(weight, 0, None)
    scale, shift = _scale_and_shift(bias, running_mean, running_var, bn_weight, bn_bias, eps)
    return _flushed(np.einsum("o,oi->oi", scale, values), dtype), _flushed(shift, dtype)


def fuse_conv_batch_norm(
    weight: ArrayLike,
    bias: ArrayLike | None,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    bn_weight: ArrayLike | None = None,
    bn_bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    transposed: bool = False,
    groups: int = 1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The kernels of output channel o times scale o, and (bias - mean) * scale + bn_bias; see `fastnorm`'s function.

    Examples
    --------
    >>> from fastnorm import reference
    >>> reference.fuse_conv_batch_norm([[[3.0, 4.0]]], [5.0], [6.0], [4.0], eps=0.0)
    (array([[[1.5, 2. ]]]), array([-0.5]))
    """
    values, _, dtype = _steps.prepare(weight, 0, None)
    scale, shift = _scale_and_shift(bias, running_mean, running_var, bn_weight, bn_bias, eps)
    fused = values.copy()
    if transposed:
        inputs, outputs = values.shape[0] // groups, values.shape[1]  # of each group
        for o, factor in enumerate(scale):
            group = o // outputs
            fused[group * inputs : (group + 1) * inputs, o % outputs] *= factor
    else:
        for o, factor in enumerate(scale):
            fused[o] *= factor
    return _flushed(fused, dtype), _flushed(shift, dtype)


def _scale_and_shift(
    before: ArrayLike | None,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    eps: float,
) -> tuple[Values, Values]:
    """Such that (x + before - mean) / sqrt(var + eps) * weight + bias is scale * x + shift."""
    mean, var = (np.asarray(one).astype(np.float64) for one in (running_mean, running_var))
    added, bias = (0.0 if one is None else np.asarray(one).astype(np.float64) for one in (before, bias))
    scale = (1.0 if weight is None else np.asarray(weight).astype(np.float64)) / np.sqrt(var + eps)
    return scale, (added - mean) * scale + bias


def _flushed(values: Values, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Rounded once, and 0 for what is subnormal then: smaller than the smallest normal number of dtype."""
    smallest = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
    stored = _steps.rounded(values, dtype)
    return np.where(np.abs(stored.astype(np.float64)) < smallest[dtype.name], np.zeros_like(stored), stored)
