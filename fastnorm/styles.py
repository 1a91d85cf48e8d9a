"""Instance norms that take their scale and shift from a style: a row of a table, or another array's statistics.

Both are `instance_norm` with parameters for each sample. What each computes, its parameters, the checks, the call.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _channel_arguments as arguments
from fastnorm import _statistics as statistics
from fastnorm._arguments import as_arithmetic
from fastnorm._normalize import measure, solve


def conditional_instance_norm(
    x: ArrayLike,
    labels: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Normalise each channel of each sample, then scale and shift by the parameters of the sample's label.

    .. math:: y_n = \frac{x_n - \mathrm{E}[x_n]}{\sqrt{\mathrm{Var}[x_n] + \epsilon}} \cdot weight_{labels_n}
              + bias_{labels_n}

    with the mean and the population variance over all axes but samples' and channels'.

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any strides, samples along axis 0 and channels along
        another: (N, C, L), (N, C, H, W), or channels-last. Integers and bools compute in float64, and return it unless
        `dtype` or `out` says otherwise.
    labels : array_like of int
        (N,), from 0 to K - 1: the row of `weight` and `bias` for each sample.
    weight, bias : array_like or None
        (K, C). Any float dtype; the result's dtype does not depend on it. Either may be given alone.
    eps : float
        Added to the variance; finite and >= 0. With 0, constant data gives NaN.
    channel_axis : int
        The axis of channels; -1 for channels-last.
    out : ndarray, optional
        Where to write the result: `x`'s shape, any float dtype above. ``out=x`` works in place; memory shared in any
        other way is safe too.
    dtype : dtype, optional
        The result's dtype, by default `x`'s. Arithmetic is float64 if `x` or the result is float64 (or `x` is
        of integers), else float32, and is rounded once to the result's dtype.
    return_stats : bool
        Return the statistics too.

    Returns
    -------
    ndarray or tuple
        The result, in `x`'s shape and memory order, or ``(result, mean, rstd)``: float64 arrays of shape (N, C).

    Raises
    ------
    ValueError
        If a shape, `channel_axis` or `eps` is wrong, a label is out of range, or `out` is read-only. Nothing has been
        written then.
    numpy.exceptions.AxisError
        If `channel_axis` is out of range.
    TypeError
        If a dtype is not supported, `labels` are no integers, or an array is masked.

    Notes
    -----
    PyTorch, ONNX and Keras have no such function: there it is an instance norm without parameters, then
    ``weight[labels]`` and ``bias[labels]``. To blend styles, pass blended parameters of shape (N, C) to
    `instance_norm`.

    References
    ----------
    Dumoulin, Shlens and Kudlur, "A Learned Representation For Artistic Style", 2017, arXiv:1610.07629.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> x = np.array([[[1.0, 3.0]], [[1.0, 3.0]]])
    >>> fastnorm.conditional_instance_norm(x, [1, 0], weight=[[1.0], [2.0]], bias=[[0.0], [5.0]]).round(3)
    array([[[ 3.,  7.]],
    <BLANKLINE>
           [[-1.,  1.]]])
    """
    channels = arguments.as_channels(x, channel_axis, eps, out, dtype, per_sample=True)
    weight, bias = arguments.as_chosen(labels, weight, bias, channels)
    y, moments = solve(
        channels.x,
        channels.out,
        channels.result_dtype,
        weight,
        bias,
        channels.spatial,
        eps=channels.eps,
        return_stats=return_stats,
    )
    shape = (channels.x.shape[0], channels.number)
    return (y, moments.mean.reshape(shape), moments.rstd.reshape(shape)) if return_stats else y


def adaptive_instance_norm(
    content: ArrayLike,
    style: ArrayLike,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Give each channel of each sample of `content` the mean and the standard deviation that it has in `style`.

    .. math:: y = \sigma(style) \cdot \frac{content - \mathrm{E}[content]}{\sigma(content)} + \mathrm{E}[style],
              \quad \sigma(t) = \sqrt{\mathrm{Var}[t] + \epsilon}

    with the means and the population variances over all axes but samples' and channels'.

    Parameters
    ----------
    content : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any strides, samples along axis 0 and channels along
        another: (N, C, L), (N, C, H, W), or channels-last. Integers and bools compute in float64, and return it unless
        `dtype` or `out` says otherwise.
    style : array_like
        Any of these dtypes; `content`'s samples, or one for all of them, and `content`'s channels along `channel_axis`.
        The other axes may have any number and lengths. Over no elements its statistics, and the result, are NaN.
    eps : float
        Added to both variances; finite and >= 0. With 0, constant content gives NaN.
    channel_axis : int
        The axis of channels; -1 for channels-last.
    out : ndarray, optional
        Where to write the result: `content`'s shape, any float dtype above. ``out=content`` works in place; memory
        shared in any other way, with `style` too, is safe.
    dtype : dtype, optional
        The result's dtype, by default `content`'s. Arithmetic is float64 if `content` or the result is float64 (or
        `content` is of integers), else float32, and is rounded once to the result's dtype.
    return_stats : bool
        Return the statistics of `content` too.

    Returns
    -------
    ndarray or tuple
        The result, in `content`'s shape and memory order, or ``(result, mean, rstd)``: float64 arrays of shape (N, C).

    Raises
    ------
    ValueError
        If a shape, `channel_axis` or `eps` is wrong, or `out` is read-only. Nothing has been written then.
    numpy.exceptions.AxisError
        If `channel_axis` is out of range.
    TypeError
        If a dtype is not supported, or `content` or `style` is a masked array.

    Notes
    -----
    PyTorch, ONNX and Keras have no such function. Ports of the paper's code to PyTorch mostly take the unbiased
    variance, ``torch.var``'s default, of both; the paper and its own code take the population variance, as here.

    References
    ----------
    Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
    arXiv:1703.06868.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> content = np.array([[[1.0, 2.0, 3.0]]])
    >>> style = np.array([[[10.0, 30.0]]])
    >>> fastnorm.adaptive_instance_norm(content, style).round(2)
    array([[[ 7.75, 20.  , 32.25]]])
    """
    channels = arguments.as_channels(content, channel_axis, eps, out, dtype, per_sample=True, name="content")
    style, style_axis = arguments.as_style(style, channel_axis, channels)
    spatial = frozenset(range(1, style.ndim)) - {style_axis}
    mean, _, m2 = measure(style, spatial, as_arithmetic(style, channels.arithmetic))
    std = statistics.deviation(m2, math.prod(style.shape[axis] for axis in spatial), channels.eps)
    with np.errstate(over="ignore"):  # float64 statistics beyond float32
        weight, bias = (
            channels.spread(one.reshape(len(style), channels.number)).astype(channels.arithmetic) for one in (std, mean)
        )
    y, moments = solve(
        channels.x,
        channels.out,
        channels.result_dtype,
        weight,
        bias,
        channels.spatial,
        eps=channels.eps,
        return_stats=return_stats,
    )
    shape = (channels.x.shape[0], channels.number)
    return (y, moments.mean.reshape(shape), moments.rstd.reshape(shape)) if return_stats else y
