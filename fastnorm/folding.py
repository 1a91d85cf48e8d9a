"""Batch norm by running statistics as a scale and a shift, and those within the layer before it.

What each computes, its parameters and the checks; `_statistics` has the arithmetic on channels. The weights of a layer
are scaled here, a slice of their first axis at a time: the float64 that it is done in never takes a layer's size.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnorm import _arguments as arguments
from fastnorm import _statistics as statistics


def fold_batch_norm(
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[NDArray[Any], NDArray[Any]]:
    r"""Turn a batch norm by running statistics into one factor and one summand for each channel.

    .. math:: scale = \frac{weight}{\sqrt{running\_var + \epsilon}}, \quad shift = bias - running\_mean \cdot scale

    so that the norm of x is ``scale * x + shift``.

    Parameters
    ----------
    running_mean, running_var : array_like of shape (C,)
        float16, bfloat16 (of ``ml_dtypes``), float32, float64, integers or bools.
    weight, bias : array_like of shape (C,), optional
        Any dtype above. Either may be given alone.
    eps : float
        Added to the variance; finite and >= 0.

    Returns
    -------
    tuple of ndarray
        ``(scale, shift)``: new arrays of shape (C,) and `running_mean`'s dtype (float64 for integers), computed in
        float64 and rounded once. Subnormal results are 0: those below 6.1e-5 in float16, 1.2e-38 in float32 and
        bfloat16, 2.2e-308 in float64.

    Raises
    ------
    ValueError
        If a shape or `eps` is wrong.
    TypeError
        If a dtype is not supported, or an argument is a masked array.

    Notes
    -----
    Arithmetic on subnormal numbers is many times slower on most CPUs, in whatever multiplies by them next. Where
    ``running_var + eps`` is negative the results are NaN, where it is 0 they are infinite or NaN.

    `batch_norm` subtracts the mean before it scales. With a scale and a shift rounding errors grow with
    ``abs(running_mean) / sqrt(running_var)``: fold what is to be merged into something else, and keep `batch_norm` for
    the norm itself. PyTorch, ONNX and TensorFlow fold within their optimisers only; there is no such function. Keras
    has ``epsilon=1e-3`` by default.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    2015, arXiv:1502.03167, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> mean, var = np.array([1.0, 10.0]), np.array([4.0, 25.0])
    >>> scale, shift = fastnorm.fold_batch_norm(mean, var, weight=[2.0, 1.0], eps=0.0)
    >>> scale, shift
    (array([1. , 0.2]), array([-1., -2.]))
    """
    mean = arguments.as_input(running_mean, "running_mean")
    if mean.ndim != 1:
        raise ValueError(f"running_mean has shape {mean.shape}, expected (C,), a number for each channel")
    like = len(mean), f"for running_mean of shape {mean.shape}"
    var = _as_channels(running_var, "running_var", *like)
    gain = _as_optional(weight, "weight", *like)
    after = _as_optional(bias, "bias", *like)
    scale, shift = statistics.folded((mean, var), gain, after, arguments.as_eps(eps))
    dtype = arguments.as_result_dtype(None, None, mean)
    return statistics.flushed(scale, dtype), statistics.flushed(shift, dtype)


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
    r"""Merge a batch norm by running statistics into the linear layer whose result it takes.

    .. math:: scale &= \frac{bn\_weight}{\sqrt{running\_var + \epsilon}} \\
              weight'_{oi} &= scale_o \cdot weight_{oi} \\
              bias' &= scale \cdot (bias - running\_mean) + bn\_bias

    so that the layer alone gives what layer and norm gave.

    Parameters
    ----------
    weight : array_like of shape (out, in)
        float16, bfloat16 (of ``ml_dtypes``), float32, float64, integers or bools, any strides. The layer is
        ``x @ weight.T + bias``.
    bias : array_like of shape (out,) or None
        Any dtype above.
    running_mean, running_var : array_like of shape (out,)
        Any dtype above.
    bn_weight, bn_bias : array_like of shape (out,), optional
        The weight and bias of the norm. Any dtype above; either may be given alone.
    eps : float
        Added to the variance; finite and >= 0.

    Returns
    -------
    tuple of ndarray
        ``(weight, bias)``: new arrays of `weight`'s dtype (float64 for integers), computed in float64 and rounded once,
        the weight in `weight`'s shape and memory order. Subnormal results are 0, as in `fold_batch_norm`.

    Raises
    ------
    ValueError
        If a shape or `eps` is wrong.
    TypeError
        If a dtype is not supported, or an argument is a masked array.

    Notes
    -----
    PyTorch's ``fuse_linear_bn_weights`` has `eps` as its fifth argument and fails without `bn_weight`. It computes in
    the dtypes that it gets and keeps the one of `bias`; and it lets statistics of one channel serve all. Keras' Dense
    has its kernel as (in, out): pass ``kernel.T``, and use the result's ``.T``. ONNX's Gemm does so unless it has
    ``transB=1``.

    References
    ----------
    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018,
    arXiv:1712.05877, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> x, weight, bias = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([5.0])
    >>> mean, var = np.array([6.0]), np.array([4.0])
    >>> fastnorm.batch_norm(x @ weight.T + bias, mean, var, eps=0.0)
    array([[5.]])
    >>> fused_weight, fused_bias = fastnorm.fuse_linear_batch_norm(weight, bias, mean, var, eps=0.0)
    >>> x @ fused_weight.T + fused_bias
    array([[5.]])
    """
    layer = arguments.as_input(weight, "weight")
    if layer.ndim != 2:
        raise ValueError(f"weight has shape {layer.shape}, expected (out, in)")
    return _fuse(layer, bias, running_mean, running_var, bn_weight, bn_bias, eps)


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
    r"""Merge a batch norm by running statistics into the convolution whose result it takes.

    .. math:: scale &= \frac{bn\_weight}{\sqrt{running\_var + \epsilon}} \\
              weight'_{oi} &= scale_o \cdot weight_{oi} \\
              bias' &= scale \cdot (bias - running\_mean) + bn\_bias

    for each output channel o, input channel i and place in the kernel, so that the convolution alone gives what it and
    the norm gave.

    Parameters
    ----------
    weight : array_like
        (C_out, C_in / groups, ...), or if `transposed` (C_in, C_out / groups, ...), with any number of further axes.
        float16, bfloat16 (of ``ml_dtypes``), float32, float64, integers or bools, any strides.
    bias : array_like of shape (C_out,) or None
        Any dtype above.
    running_mean, running_var : array_like of shape (C_out,)
        Any dtype above.
    bn_weight, bn_bias : array_like of shape (C_out,), optional
        The weight and bias of the norm. Any dtype above; either may be given alone.
    eps : float
        Added to the variance; finite and >= 0.
    transposed : bool
        Whether the layer is a transposed convolution.
    groups : int
        Into how many groups the layer divides its channels. Without `transposed` the results do not depend on it.

    Returns
    -------
    tuple of ndarray
        ``(weight, bias)``: new arrays of `weight`'s dtype (float64 for integers), computed in float64 and rounded once,
        the weight in `weight`'s shape and memory order. Subnormal results are 0, as in `fold_batch_norm`.

    Raises
    ------
    ValueError
        If a shape, `eps` or `groups` is wrong.
    TypeError
        If a dtype is not supported, an argument is a masked array, or `transposed` is no bool.

    Notes
    -----
    Padding, stride and dilation do not matter, because the norm comes after the convolution. A norm before one that
    pads cannot be merged so: padding adds zeros, which the norm would have moved.

    PyTorch's ``torch.nn.utils.fusion.fuse_conv_bn_weights`` has `eps` as its fifth argument and calls `transposed`
    ``transpose``; it fails on grouped transposed convolutions, computes in the dtypes that it gets, keeps the one of
    `bias` and leaves subnormal results. TensorFlow and Keras have kernels as (..., C_in, C_out): pass
    ``np.moveaxis(kernel, (-1, -2), (0, 1))``, and use the result's ``np.moveaxis(fused, (0, 1), (-1, -2))``; those of
    their transposed convolutions, (..., C_out, C_in), are moved alike. Keras has ``epsilon=1e-3`` by default.

    References
    ----------
    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018,
    arXiv:1712.05877, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> weight = np.array([[[1.0, 2.0, 1.0]], [[0.0, 5.0, 0.0]]])  # two output channels, one input channel
    >>> mean, var = np.array([1.0, 10.0]), np.array([4.0, 25.0])
    >>> fused_weight, fused_bias = fastnorm.fuse_conv_batch_norm(weight, None, mean, var, eps=0.0)
    >>> fused_weight
    array([[[0.5, 1. , 0.5]],
    <BLANKLINE>
           [[0. , 1. , 0. ]]])
    >>> fused_bias
    array([-0.5, -2. ])
    """
    layer = arguments.as_input(weight, "weight")
    transposed = arguments.as_bool(transposed, "transposed")
    if layer.ndim < 2:
        layout = "(C_in, C_out / groups, ...)" if transposed else "(C_out, C_in / groups, ...)"
        raise ValueError(f"weight has shape {layer.shape}, expected {layout}")
    groups = arguments.as_int(groups, "groups")
    if groups < 1 or len(layer) % groups:
        raise ValueError(
            f"groups is {groups}, expected a positive divisor of {len(layer)}, the length of axis 0 "
            f"of weight of shape {layer.shape}"
        )
    return _fuse(layer, bias, running_mean, running_var, bn_weight, bn_bias, eps, groups if transposed else None)


def _fuse(
    layer: NDArray[Any],
    bias: ArrayLike | None,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    bn_weight: ArrayLike | None,
    bn_bias: ArrayLike | None,
    eps: float,
    transposed_groups: int | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The weight and bias of a layer with the norm after it, output channels along axis 0.

    With `transposed_groups`, axis 0 has the inputs of one group after another, and axis 1 the outputs of a group.
    """
    groups = transposed_groups
    channels = len(layer) if groups is None else groups * layer.shape[1]
    layout = "" if groups is None else f", transposed, with groups={groups}"
    like = channels, f"for weight of shape {layer.shape}{layout}"
    before = _as_optional(bias, "bias", *like)
    mean = _as_channels(running_mean, "running_mean", *like)
    var = _as_channels(running_var, "running_var", *like)
    after = _as_optional(bn_bias, "bn_bias", *like)
    gain = _as_optional(bn_weight, "bn_weight", *like)
    scale, shift = statistics.folded((mean, var), gain, after, arguments.as_eps(eps), before)

    factors = scale[:, np.newaxis]
    if groups is not None:
        factors = scale.reshape(groups, layer.shape[1]).repeat(len(layer) // groups, axis=0)
    factors = factors.reshape(*factors.shape, *[1] * (layer.ndim - 2))
    dtype = arguments.as_result_dtype(None, None, layer)
    fused = np.empty_like(layer, dtype=dtype, subok=False)
    with np.errstate(all="ignore"):
        for one, factor, result in zip(layer, factors, fused, strict=True):
            result[...] = statistics.flushed(one.astype(np.float64) * factor, dtype)
    return fused, statistics.flushed(shift, dtype)


def _as_channels(value: ArrayLike, name: str, channels: int, like: str) -> NDArray[Any]:
    """One number for each channel."""
    array = arguments.as_input(value, name)
    if array.shape != (channels,):
        raise ValueError(f"{name} has shape {array.shape}, expected {(channels,)} {like}")
    return array


def _as_optional(value: ArrayLike | None, name: str, channels: int, like: str) -> NDArray[Any] | None:
    """The same, or None."""
    return None if value is None else _as_channels(value, name, channels, like)
