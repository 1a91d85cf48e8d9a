"""Group norm: each sample's channels in groups of neighbours. What it computes, its parameters, the checks, the call.

A group is a view of x with the channel axis split in two, so that it is nothing new to the kernels. The plain small
call has a door of its own, as in `norms`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnorm import _channel_arguments as arguments
from fastnorm._kernels import plain
from fastnorm._normalize import solve


def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    return_stats: bool = False,
) -> Any:
    r"""Normalise each group of neighbouring channels of each sample to mean 0 and variance 1, then scale and shift.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot weight + bias

    with the mean and the population variance over a group's channels and all axes but samples' and channels'.

    Parameters
    ----------
    x : array_like
        float16, bfloat16 (of ``ml_dtypes``), float32 or float64, any strides, samples along axis 0 and channels along
        another: (N, C), (N, C, L), (N, C, H, W), or channels-last. Integers and bools compute in float64, and return
        it unless `dtype` or `out` says otherwise.
    num_groups : int
        The number of groups G, a divisor of C: group g holds channels ``g * C // G`` to ``(g + 1) * C // G - 1``.
    weight, bias : array_like, optional
        (C,), or `x`'s rank and broadcasting against it. Any float dtype; the result's dtype does not depend on it.
        Either may be given alone.
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
        The result, in `x`'s shape and memory order, or ``(result, mean, rstd)``: float64 arrays of shape (N, G).

    Raises
    ------
    ValueError
        If a shape, `num_groups`, `channel_axis` or `eps` is wrong, or `out` is read-only. Nothing has been written
        then.
    numpy.exceptions.AxisError
        If `channel_axis` is out of range.
    TypeError
        If a dtype is not supported, or `x` or a parameter is a masked array.

    Notes
    -----
    ``num_groups=1`` normalises each sample as a whole, with parameters for each channel; ``num_groups=C`` is
    `instance_norm`. PyTorch has the same arguments. ONNX's GroupNormalization has scale and bias for each channel since
    opset 21; those of opset 18, for each group, go through ``np.repeat(scale, C // G)``. Keras has ``groups=32``,
    ``epsilon=1e-3`` and channels-last.

    References
    ----------
    Wu and He, "Group Normalization", 2018, arXiv:1803.08494.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0]])
    >>> y, mean, rstd = fastnorm.group_norm(x, 2, return_stats=True)
    >>> y.round(3)
    array([[-1.,  1., -1.,  1.]])
    >>> mean
    array([[ 2., 20.]])
    """
    if num_groups is not None and dtype is None and not return_stats:  # None is instance norm's, at this door
        answer = plain.over_channels(x, weight, bias, num_groups, eps, channel_axis, out)
        if answer is not None:
            return answer
    channels = arguments.as_channels(x, channel_axis, eps, out, dtype, per_sample=True)
    num_groups = arguments.as_num_groups(num_groups, channels)
    weight = arguments.as_parameter(weight, "weight", channels)
    bias = arguments.as_parameter(bias, "bias", channels)

    axis, result = channels.axis, channels.out
    if result is None:
        result = np.empty_like(channels.x, dtype=channels.result_dtype, subok=False)
    grouped = _split(channels.x, axis, num_groups)
    _, moments = solve(
        grouped,
        _split(result, axis, num_groups),
        channels.result_dtype,
        None if weight is None else _split(weight, axis, num_groups),
        None if bias is None else _split(bias, axis, num_groups),
        frozenset(range(grouped.ndim)) - {0, axis},
        eps=channels.eps,
        return_stats=return_stats,
    )
    if not return_stats:
        return result
    return result, *(one.reshape(len(grouped), num_groups) for one in (moments.mean, moments.rstd))


def _split(array: NDArray[Any], axis: int, num_groups: int) -> NDArray[Any]:
    """A view with the channel axis in two, groups and a group's channels; one of length 1 broadcasts as two of them."""
    length = array.shape[axis]
    groups = 1 if length == 1 else num_groups
    shape = (*array.shape[:axis], groups, length // groups, *array.shape[axis + 1 :])
    # Of any strides this is a view, because no axes are merged. A subclass may keep to its own ranks.
    return np.asarray(array).reshape(shape)
